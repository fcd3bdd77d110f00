"""`GET /metrics`: what a run counts, for Prometheus. Needs the extra `serve`."""

from __future__ import annotations

from collections.abc import Iterator

from aiohttp import web

from runtime.server.gpu_memory import gpu_memory
from runtime.server.hub import Hub

BUCKETS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)  # milliseconds
PREFIX = "gazeqwen"


class Metrics:
    """Reads the hub when it is asked, so that counting costs the run nothing."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._registry = None

    async def serve(self, request: web.Request) -> web.Response:
        """The text that Prometheus reads; 501 without its library."""
        try:
            from prometheus_client import CollectorRegistry, Histogram, generate_latest
        except ImportError as error:
            reason = "metrics need the extra 'serve': pip install 'gazeqwen-edge[serve]'"
            raise web.HTTPNotImplemented(reason=reason) from error
        if self._registry is None:
            self._registry = CollectorRegistry()
            name, said = f"{PREFIX}_stage_milliseconds", "Durations of the stages of answers."
            self._stages = Histogram(
                name, said, ["stage"], buckets=BUCKETS, registry=self._registry
            )
            self._registry.register(self)
        while self._hub.stages:
            stage, milliseconds = self._hub.stages.popleft()
            self._stages.labels(stage).observe(milliseconds)
        return web.Response(body=generate_latest(self._registry), content_type="text/plain")

    def collect(self) -> Iterator[object]:
        """What the last second of stream said, as Prometheus' families."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        hub, second = self._hub, self._hub.second
        records = CounterMetricFamily(f"{PREFIX}_records", "Records told.", labels=["kind"])
        for kind, count in sorted(hub.counts.items()):
            records.add_metric([kind], count)
        yield records
        yield GaugeMetricFamily(f"{PREFIX}_clients", "Clients that listen.", value=hub.clients)
        lost = CounterMetricFamily(f"{PREFIX}_not_served", "Given up for newer.", labels=["what"])
        for what, count in sorted(hub.dropped.items()):
            lost.add_metric([what], count)
        yield lost
        yield from _gpus()
        if second is None:
            return
        labels = ["stream"]
        received = CounterMetricFamily(f"{PREFIX}_received", "Samples received.", labels=labels)
        used = CounterMetricFamily(f"{PREFIX}_used", "Samples used.", labels=labels)
        dropped = CounterMetricFamily(
            f"{PREFIX}_dropped", "Samples dropped, by cause.", labels=["stream", "cause"]
        )
        for stream, fact in (("frames", second.frames), ("gaze", second.gaze)):
            received.add_metric([stream], fact.received)
            used.add_metric([stream], fact.used)
            for cause, count in sorted(fact.dropped.items()):
                dropped.add_metric([stream, cause], count)
        yield from (received, used, dropped)
        ages = GaugeMetricFamily(
            f"{PREFIX}_age_milliseconds", "Ages of what is newest.", labels=["what"]
        )
        for what in ("frame", "gaze", "step"):
            age = getattr(second, f"{what}_age_ms")
            if age is not None:
                ages.add_metric([what], age)
        yield ages
        yield CounterMetricFamily(f"{PREFIX}_steps", "Steps appended.", value=second.steps)
        yield CounterMetricFamily(
            f"{PREFIX}_steps_dropped", "Steps dropped.", value=second.steps_dropped
        )


def _gpus() -> Iterator[object]:
    from prometheus_client.core import GaugeMetricFamily

    labels = ["gpu", "what"]
    memory = GaugeMetricFamily(f"{PREFIX}_gpu_memory_bytes", "Memory of GPUs.", labels=labels)
    for gpu in gpu_memory():
        memory.add_metric([gpu.name, "used"], gpu.used)
        memory.add_metric([gpu.name, "total"], gpu.total)
    yield memory
