"""What does each stage take? `python -m benchmarks stages --bundle DIR`, on any engine.

A frame decoded, a second of gaze, each graph, a step prefilled, the first token of an answer and
the one after it: one after another in every round, as a question would wait for all of them.
`end to end` is timed around a round, not added up. A run ends when its device has done it. Shares
are of the peaks that the same engine reaches in the same run, which takes `onnx` (extras `export`
and `tensorrt`); TensorRT and WebGPU have none.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.instruments import pipeline as names
from benchmarks.instruments.conditions import Conditions, input_hash
from benchmarks.instruments.pipeline import Pipeline
from benchmarks.instruments.result import Result, Sheet, Value, add_outputs, publish
from devices import numbers
from devices.parser import Parser, complain
from runtime.bundle.opening import Bundle
from runtime.engines.choice import ENGINES, EngineChoice, Machine, choose_engine
from runtime.engines.cuda import CudaEngine, GraphRules
from runtime.engines.engine import OnnxEngine
from runtime.errors import RuntimeFault
from runtime.model.models import Models
from runtime.run.command_line import MINI
from runtime.terminal import SafeConsole

if TYPE_CHECKING:
    from benchmarks.instruments.peaks import Peaks

WHOLE = "end to end"
WARM_UP = 2  # rounds that are not counted
PERCENTILES = (50, 95, 99)
MILLISECOND = 1e6  # in ns
COLUMNS = ("stage", "n", *(f"p{each}, ms" for each in PERCENTILES), "max, ms", "of peak", "peak of")

Times = Mapping[str, Sequence[float]]


def measure(
    pipeline: Pipeline, rounds: int, timer: Callable[[], int] = time.perf_counter_ns
) -> dict[str, list[float]]:
    """Milliseconds of every stage and of the whole, `rounds` times after the warm-up.

    `timer` returns nanoseconds of a monotonic clock.
    """
    found: dict[str, list[float]] = {stage.name: [] for stage in pipeline.stages}
    found |= {WHOLE: [], pipeline.aside.name: []}
    for number in range(WARM_UP + rounds):
        spent = {}
        began = timer()
        for stage in pipeline.stages:
            before = timer()
            stage.run()
            spent[stage.name] = timer() - before
        spent[WHOLE] = timer() - began
        pipeline.rewind()
        before = timer()
        pipeline.aside.run()
        spent[pipeline.aside.name] = timer() - before
        pipeline.rewind()
        if number >= WARM_UP:
            for name, duration in spent.items():
                found[name].append(duration / MILLISECOND)
    return found


def shares(bundle: Bundle, pipeline: Pipeline, times: Times, peaks: Peaks) -> dict[str, float]:
    """What share of a peak the median of a stage reaches; see `OF_BANDWIDTH` for which peak."""
    from benchmarks.instruments.work import (
        Weights,
        decoder_bytes,
        decoder_operations,
        vision_operations,
        vjepa_operations,
    )

    weights = Weights.of(bundle)
    tokens, past, text = pipeline.tokens, pipeline.past, len(pipeline.text)
    prefill = decoder_operations(bundle, weights, tokens, past, 0)
    # The tail step of a question comes after the step that was prefilled in the same round.
    first = decoder_operations(bundle, weights, tokens + text, past + tokens, 1)
    read = decoder_bytes(bundle, weights, past + 2 * tokens + text)
    work = {
        names.VISION: vision_operations(bundle, weights) / peaks.operations,
        names.VJEPA: vjepa_operations(bundle, weights) / peaks.operations,
        names.SCENE: resampler_bytes(bundle, "scene") / peaks.bandwidth,
        names.GAZE: resampler_bytes(bundle, "gaze") / peaks.bandwidth,
        names.PREFILL: prefill / peaks.operations,
        names.BOTH: 2 * prefill / peaks.operations,
        names.FIRST: first / peaks.operations,
        names.NEXT: read / peaks.bandwidth,
    }
    return {name: least / (float(np.median(times[name])) / 1e3) for name, least in work.items()}


OF_BANDWIDTH = (names.SCENE, names.GAZE, names.NEXT)


def resampler_bytes(bundle: Bundle, half: str) -> int:
    """Bytes of the weights of the scene or the gaze half."""
    start = f"resampler.{half}.onnx"
    return sum(f.size for name, f in bundle.manifest.files.items() if name.startswith(start))


def sheet(title: str, times: Times, shared: Mapping[str, float]) -> Sheet:
    """A row for each stage."""
    rows: list[tuple[Value, ...]] = []
    for name, values in times.items():
        figures = (float(each) for each in np.percentile(values, PERCENTILES))
        peak = "bandwidth" if name in OF_BANDWIDTH else "operations"
        share, of = (shared[name], peak) if name in shared else (None, None)
        rows.append((name, len(values), *figures, max(values), share, of))
    return Sheet(title, COLUMNS, tuple(rows))


def peaks_here(choice: EngineChoice) -> Peaks | None:
    """The peaks of the engine that was chosen; None where they can't be measured."""
    try:
        from benchmarks.instruments.peaks import measure_peaks
    except ImportError:
        return None
    with tempfile.TemporaryDirectory() as folder:
        if choice.kind == "cpu":
            return measure_peaks(Path(folder), partial(OnnxEngine, threads=choice.threads))
        if choice.kind == "cuda":
            rules = GraphRules(frozenset(), {})
            return measure_peaks(Path(folder), partial(CudaEngine, rules=rules), np.float16)
    return None


def peaks_sheet(peaks: Peaks | None) -> Sheet:
    """The peaks, or that there are none."""
    if peaks is None:
        return Sheet("peaks", ("", "figure"), (("not measured", None),))
    rows = (("GB/s", peaks.bandwidth / 1e9), ("GFLOP/s", peaks.operations / 1e9))
    return Sheet("peaks, measured in this run", ("", "figure"), rows)


def run(options: argparse.Namespace, machine: Machine) -> Result:
    """Measure. Raises RuntimeFault."""
    bundle = Bundle.open(options.bundle)
    choice = choose_engine(options.engine, bundle, machine, threads=options.threads)
    peaks = peaks_here(choice)
    pipeline = Pipeline(Models(bundle, choice.load))
    times = measure(pipeline, options.rounds)
    shared = {} if peaks is None else shares(bundle, pipeline, times, peaks)
    title = f"{bundle.manifest.name} ({bundle.manifest.quantization.kind}) on {choice.line}"
    repeats = f"{options.rounds} rounds after {WARM_UP} that are not counted"
    return Result(
        "stages",
        Conditions.here(repeats, input_hash(pipeline.frames, pipeline.text), bundle),
        (sheet(title, times, shared), peaks_sheet(peaks)),
        details={"milliseconds": times, "threads": options.threads},
    )


def arguments(command_line: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = Parser(prog="python -m benchmarks stages", description=__doc__)
    parser.add_argument("--bundle", type=Path, default=MINI, metavar="DIR")
    parser.add_argument("--engine", choices=ENGINES, default="auto")
    parser.add_argument("--rounds", type=numbers.whole(1), default=20, metavar="N")
    parser.add_argument(
        "--threads", type=numbers.whole(0), default=0, help="per operator (default: all cores)"
    )
    add_outputs(parser)
    return parser.parse_args(command_line)


def main(command_line: Sequence[str] | None = None, machine: Machine | None = None) -> int:
    """Measure; returns the exit status: 1 after an error, which is one line."""
    options = arguments(command_line)
    try:
        return publish(run(options, machine or Machine.here()), options, SafeConsole())
    except (RuntimeFault, OSError) as error:
        complain(error)
        return 1


if __name__ == "__main__":
    sys.exit(main())
