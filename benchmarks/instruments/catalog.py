"""Every benchmark, and the question that it answers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A module and the question that it answers. `quick`: what shortens it to a minute or two.

    None in `quick`: it needs what is not in the repository, or its own data, and `all` leaves it
    out. `writes`: whether it has `--json` and `--markdown`.
    """

    name: str
    question: str
    quick: tuple[str, ...] | None = None
    writes: bool = True


BENCHMARKS = (
    Benchmark("stages", "what each stage takes, and what share of the peak it reaches", ()),
    Benchmark("decode", "prefill and decode, against PyTorch", ("--shape", "tiny", "--rounds=2")),
    Benchmark("size", "what a device would do", ("--shape", "tiny", "--rounds=2")),
    Benchmark("saved_runs", "one run of the decoder for two", ("--shape", "tiny", "--rounds=2")),
    Benchmark("stream", "what a kept context saves", ("--grid", "4x4", "--rounds", "1")),
    Benchmark("memory", "where memory goes", ("--tokens", "512")),
    Benchmark("proof", "what the proof on the device costs a start", ("--rounds", "2")),
    Benchmark(
        "soak",
        "whether the live loop holds out",
        ("--seconds=120", "--overloaded-seconds=20", "--live-seconds=20"),
    ),
    Benchmark("device_latency", "from a tracker to its user", ("--seconds", "10")),
    Benchmark("serving", "what watching a run costs it", ("--pairs", "1", "--turn", "2")),
    Benchmark("listening", "what listening costs a run"),
    Benchmark("voice", "from the end of speech to the first sound"),
    Benchmark("mini", "what mini knows", writes=False),
    Benchmark("scaling", "what workers are worth, and what it costs to hand out a unit"),
    Benchmark("coding", "how often coded fixations are right", writes=False),
    Benchmark("streamgaze", "the evaluation", writes=False),
    Benchmark("results", "the page of all results", writes=False),
)
