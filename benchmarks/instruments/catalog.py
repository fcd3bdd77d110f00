"""Every benchmark, and the question that it answers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A module and the question that it answers. `quick`: what shortens it to a minute or two.

    None in `quick`: it needs what is not in the repository, or its own data, and `all` leaves it
    out. `writes`: whether it has `--json` and `--markdown`. `room`: the package below `benchmarks`
    that its module stands in; none for `benchmarks` itself.
    """

    name: str
    question: str
    quick: tuple[str, ...] | None = None
    writes: bool = True
    room: str = ""

    @property
    def module(self) -> str:
        """The dotted name of its module or package."""
        return ".".join(filter(None, ("benchmarks", self.room, self.name)))


DECODER, HABITS, PYTORCH = "decoder", "habits", "pytorch"
TINY = ("--shape", "tiny", "--rounds=2")
BENCHMARKS = (
    Benchmark("stages", "what each stage takes, and what share of the peak it reaches", ()),
    Benchmark("encoders", "what encoders in 8 bits save", ("--rounds", "2")),
    Benchmark("decode", "prefill and decode, against PyTorch", TINY, room=DECODER),
    Benchmark("injection", "what adding residuals costs", TINY, room=DECODER),
    Benchmark("size", "what a device would do", TINY, room=DECODER),
    Benchmark("saved_runs", "one run of the decoder for two", TINY, room=DECODER),
    Benchmark(
        "end_to_end",
        "from capture to residual and token, and where it saturates",
        ("--seconds=3", "--lowest=1", "--question-every=1"),
    ),
    Benchmark(
        "reference",
        "how much sooner than the released code",
        (*TINY, "--grid=4x4"),
        room=PYTORCH,
    ),
    Benchmark("parity", "how near what is fast is", ("--shape=tiny", "--cases=1"), room=PYTORCH),
    Benchmark("energy", "what an answer costs in joules", ("--seconds=1",)),
    Benchmark("stream", "what a kept context saves", ("--grid", "4x4", "--rounds", "1")),
    Benchmark("memory", "where memory goes", ("--tokens", "512")),
    Benchmark("proof", "what the proof on the device costs a start", ("--rounds", "2")),
    Benchmark(
        "soak",
        "whether the live loop holds out",
        ("--seconds=120", "--overloaded-seconds=20", "--live-seconds=20"),
    ),
    Benchmark("device_latency", "from a tracker to its user", ("--seconds", "10")),
    Benchmark(
        "serving", "what watching a run costs it", ("--pairs", "1", "--turn", "2"), room=HABITS
    ),
    Benchmark("listening", "what listening costs a run", room=HABITS),
    Benchmark("voice", "from the end of speech to the first sound"),
    Benchmark("mini", "what mini knows", writes=False),
    Benchmark("scaling", "what workers are worth, and what it costs to hand out a unit"),
    Benchmark("coding", "how often coded fixations are right", writes=False),
    Benchmark("streamgaze", "the evaluation", writes=False),
    Benchmark("results", "the page of all results", writes=False),
)
