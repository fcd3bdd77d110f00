"""How much sooner than the released code does it answer? `python -m benchmarks reference`.

The same questions on a window of 60 s. Ours: a stream that was kept, 15 steps of it in the context,
to which a question adds its tail step and its text. The released way: 8 frames of the window, all
of them encoded at the question, in PyTorch with hooks, in bf16; and that way with our graphs, which
tells what keeping saves from what compiling saves. Rounds alternate between them. Beside it, how
near the logits of the released clip are to PyTorch's in float32: ours, and PyTorch's in bf16.
Frames are noise: no time depends on their content. Needs the extra `export`; without --bundle it
exports random weights of --shape. Measure on an idle machine.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.instruments.bundles.kept_stream import Rig, grid_of
from benchmarks.instruments.bundles.random_bundle import Origin, add_origin, opened_origin
from benchmarks.instruments.bundles.released_way import (
    PREFILL,
    RESAMPLER,
    VISION,
    VJEPA,
    ReleasedWay,
)
from benchmarks.instruments.conditions import Conditions, input_hash
from benchmarks.instruments.decoders.fidelity import COLUMNS as FIDELITY
from benchmarks.instruments.decoders.fidelity import Fidelity
from benchmarks.instruments.findings import Finding
from benchmarks.instruments.result import Result, Sheet, Value, add_outputs, publish
from devices import numbers
from devices.parser import Parser, complain
from export.checkpoints.common import CheckpointError
from export.parity.torch_models import TorchModels
from runtime.answers.questions import Question
from runtime.bundle.opening import Bundle
from runtime.engines.engine import OnnxEngine
from runtime.errors import RuntimeFault
from runtime.model.models import Models
from runtime.stopwatch import Stopwatch
from runtime.terminal import SafeConsole

STEPS = 15  # of 60 s, at the rate that the released code takes for such a window
KEPT, AFRESH, RELEASED = "ours, kept", "ours, the released way", "PyTorch bf16, the released way"
LEAST = 20  # times sooner
QUESTIONS = tuple(
    Question(f"{text}?", ("a cup", "a knife", "a plate", "a spoon"))
    for text in (
        "What am I looking at",
        "What did I look at first",
        "Which one is behind the bread",
    )
)
STAGES = (VJEPA, VISION, RESAMPLER, PREFILL)

Milliseconds = Mapping[str, Sequence[float]]
Spent = Mapping[str, Sequence[Mapping[str, float]]]
Say = Callable[[str], None]


def measure(
    kept: Callable[[Question], float],
    ways: Mapping[str, Callable[[Question, Stopwatch], NDArray[np.float32]]],
    rounds: int,
    say: Say = lambda said: None,
) -> tuple[dict[str, list[float]], dict[str, list[Mapping[str, float]]]]:
    """Milliseconds to the first token, and those of each stage where all is encoded, by round.

    `kept` and `ways` are asked the same question in a round; the first round is not counted.
    """
    times: dict[str, list[float]] = {KEPT: []} | {name: [] for name in ways}
    stages: dict[str, list[Mapping[str, float]]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        say(f"round {number} of {rounds}")
        question = QUESTIONS[number % len(QUESTIONS)]
        found = {KEPT: kept(question)}
        for name, ask in ways.items():
            watch = Stopwatch()
            ask(question, watch)
            found[name] = watch.elapsed_ms
            if number:
                stages[name].append(watch.stages_ms())
        for name, spent in found.items() if number else ():
            times[name].append(spent)
    return times, stages


def ratio(times: Milliseconds, name: str) -> float:
    """How many times as long a way takes as ours: the median over rounds."""
    return float(np.median(np.divide(times[name], times[KEPT])))


def times_sheet(title: str, times: Milliseconds, stages: Spent) -> Sheet:
    """A row for each way: to the first token, and where the time goes."""
    rows: list[tuple[Value, ...]] = []
    for name, values in times.items():
        parts = (
            float(np.median([each[stage] for each in stages[name]])) if name in stages else None
            for stage in STAGES
        )
        told = float(np.median(values)), max(values), ratio(times, name)
        rows.append((name, len(values), *told, *parts))
    columns = ("first token, ms", "n", "p50", "max", "times ours", *STAGES)
    return Sheet(title, columns, tuple(rows))


def fidelity_sheet(logits: Mapping[str, NDArray[np.float32]]) -> Sheet:
    """How near each way is to the last of them, which is in float32."""
    *others, reference = logits
    rows = [(name, *Fidelity.of(logits[name], logits[reference]).cells) for name in others]
    title = f"{len(QUESTIONS)} questions on the released clip, beside {reference}"
    return Sheet(title, ("", *FIDELITY), tuple(rows))


def logits_of(
    ways: Mapping[str, ReleasedWay], reference: Callable[[], ReleasedWay]
) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """What each says after every question: its name, and (questions, vocabulary)."""
    for name, way in (*ways.items(), ("PyTorch float32", reference())):
        yield name, np.stack([way.ask(question, Stopwatch()) for question in QUESTIONS])


def run(options: argparse.Namespace, origin: Origin, say: Say) -> Result:
    """Measure. Raises RuntimeFault, CheckpointError."""
    torch.set_num_threads(options.threads)
    grid, bundle = grid_of(options.grid), Bundle.open(origin.bundle)
    models = Models(bundle, lambda path: OnnxEngine(path, threads=options.threads))
    say("PyTorch: reading the checkpoints")
    half = TorchModels.load(bundle, *origin.files, torch.bfloat16)
    ways = {AFRESH: ReleasedWay(models, grid), RELEASED: ReleasedWay(half, grid)}
    rig = Rig(models, grid, [STEPS])
    asks = {name: way.ask for name, way in ways.items()}
    times, stages = measure(lambda asked: rig.kept(STEPS, asked), asks, options.rounds, say)
    say("the reference in float32")
    whole = dict(
        logits_of(ways, lambda: ReleasedWay(TorchModels.load(bundle, *origin.files), grid))
    )
    title = (
        f"{bundle.manifest.name} ({bundle.manifest.quantization.kind}), {options.threads} thread"
    )
    return Result(
        "reference",
        Conditions.here(
            f"{options.rounds} paired rounds, a question in each",
            input_hash(options.grid, STEPS, *(question.prompt() for question in QUESTIONS)),
            bundle,
        ),
        (times_sheet(title, times, stages), fidelity_sheet(whole)),
        (Finding(f"{KEPT} / {RELEASED}", 1 / ratio(times, RELEASED), 1 / LEAST),),
        {"milliseconds": times, "stages": stages, "threads": options.threads},
    )


def arguments(command_line: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = Parser(prog="python -m benchmarks reference", description=__doc__)
    add_origin(parser)
    parser.add_argument("--grid", default="8x16", metavar="HxW", help="tokens of a step (8x16)")
    parser.add_argument("--rounds", type=numbers.whole(1), default=5, metavar="N")
    parser.add_argument("--threads", type=numbers.whole(1), default=1)
    add_outputs(parser)
    return parser.parse_args(command_line)


def main(command_line: Sequence[str] | None = None) -> int:
    """The exit status: 1 after an error, or where a limit is not met."""
    options = arguments(command_line)
    console = SafeConsole()
    try:
        with tempfile.TemporaryDirectory() as folder:
            origin = opened_origin(options, Path(folder))
            with console.status("") as status:
                measured = run(options, origin, status.update)
        return publish(measured, options, console)
    except (RuntimeFault, CheckpointError, OSError) as error:
        complain(error)
        return 1


if __name__ == "__main__":
    sys.exit(main())
