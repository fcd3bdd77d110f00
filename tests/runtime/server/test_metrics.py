"""What Prometheus is told, read by its own parser."""

import asyncio
import json
import sys
from types import SimpleNamespace

from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from prometheus_client.parser import text_string_to_metric_families as families
from written_records import answer

from runtime.answers.record import SecondRecord, StreamFact
from runtime.server.hub import Hub
from runtime.server.metrics import Metrics

FRAMES = StreamFact(30, 20, {"late": 4, "encoder busy": 6})
MOMENTS, AGES = (1, 1, 1), (12.0, 3.0, 40.0)
SECOND = SecondRecord(1, FRAMES, StreamFact(200, 200, {}), 3, 1, 1, 0, *MOMENTS, *AGES)


def told(*news):
    """{(name, its labels): value} after some news."""

    async def visit():
        hub = Hub(lambda: 1, (4, 4))
        app = web.Application()
        app.router.add_get("/metrics", Metrics(hub).serve)
        async with TestClient(TestServer(app)) as client:
            for each in news:
                hub.hear(each)
            await asyncio.sleep(0)
            return await (await client.get("/metrics")).text()

    text = asyncio.run(visit())
    samples = [sample for family in families(text) for sample in family.samples]
    return {(s.name, json.dumps(s.labels, sort_keys=True)): s.value for s in samples}


def value(found, name, **labels):
    return found[name, json.dumps(labels, sort_keys=True)]


def test_rates_drops_by_cause_ages_records_and_stages_are_told():
    found = told(SECOND, answer("a cup"))
    assert value(found, "gazeqwen_received_total", stream="frames") == 30
    assert value(found, "gazeqwen_used_total", stream="gaze") == 200
    assert value(found, "gazeqwen_dropped_total", stream="frames", cause="late") == 4
    assert value(found, "gazeqwen_dropped_total", stream="frames", cause="encoder busy") == 6
    assert value(found, "gazeqwen_records_total", kind="answer") == 1
    assert value(found, "gazeqwen_steps_total") == 3
    first = {"stage": "time to first token"}
    assert value(found, "gazeqwen_stage_milliseconds_count", **first) == 1
    assert value(found, "gazeqwen_stage_milliseconds_sum", **first) == 1.0
    for what, age in zip(("frame", "gaze", "step"), AGES, strict=True):
        assert value(found, "gazeqwen_age_milliseconds", what=what) == age


class Trouble(Exception):
    pass


def driver(names, fails=False):
    """What stands in for NVIDIA's library."""

    def memory(number):
        if fails:
            raise Trouble
        return SimpleNamespace(used=number + 1, total=100)

    return SimpleNamespace(
        NVMLError=Trouble,
        nvmlInit=lambda: None,
        nvmlShutdown=lambda: None,
        nvmlDeviceGetCount=lambda: len(names),
        nvmlDeviceGetHandleByIndex=lambda number: number,
        nvmlDeviceGetName=lambda number: names[number],
        nvmlDeviceGetMemoryInfo=memory,
    )


def test_the_memory_of_each_gpu_is_told_where_there_is_one(monkeypatch):
    monkeypatch.setitem(sys.modules, "pynvml", driver(["H100", "H100"]))
    found = told()
    assert value(found, "gazeqwen_gpu_memory_bytes", gpu="1 H100", what="used") == 2
    assert value(found, "gazeqwen_gpu_memory_bytes", gpu="0 H100", what="total") == 100
    for absent in (None, driver(["Orin"], fails=True)):
        monkeypatch.setitem(sys.modules, "pynvml", absent)
        assert not any(name.startswith("gazeqwen_gpu") for name, _ in told())
