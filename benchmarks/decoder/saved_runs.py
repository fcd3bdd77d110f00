"""What does one run of the decoder for two save? `python -m benchmarks saved_runs`, on the CPU.

A step into two contexts, and a tail step with its question, in one run and in two: one thread,
random weights, rounds that alternate between all of them. A figure is the median over rounds of one
run's time over two runs'; below 1, one run is faster. So it is known what a bundle for CPUs should
do. Needs the extra `export`.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.instruments.conditions import Conditions, input_hash
from benchmarks.instruments.decoders.workload import (
    THREADS,
    DrawnWeights,
    decoder_shape,
    injected_layers,
)
from benchmarks.instruments.result import Result, Sheet, Value, add_outputs, publish
from devices import numbers
from devices.parser import Parser, complain
from export.checkpoints.qwen_config import DecoderGeometry
from export.graphs.decoder import DecoderEmitter
from export.graphs.graph_writer import graph_spec
from export.graphs.precision.quantization import Linears, linears
from export.random.shapes import SHAPES
from runtime.bundle.manifest import Accumulation, Manifest, QuantizationKind
from runtime.bundle.names import DECODER
from runtime.bundle.opening import Bundle
from runtime.engines.engine import OnnxEngine
from runtime.errors import RuntimeFault
from runtime.model.context import Context
from runtime.run.command_line import MINI
from runtime.terminal import SafeConsole

PRECISIONS: tuple[tuple[QuantizationKind, Accumulation], ...] = (
    ("int4", "float"),
    ("int4", "int8"),
    ("int8", "int8"),
)
GRID = 8, 16
STEPS = 4  # in every context beforehand
TEXT = np.arange(1, 49)  # a question with its options
BOTH, TAIL = "a step into two contexts", "a tail step and its question"


class Rig:
    """Contexts of a decoder whose runs append to one context, and of one that appends to two."""

    def __init__(
        self, folder: Path, geometry: DecoderGeometry, kind: QuantizationKind, by: Accumulation
    ) -> None:
        one = linears(kind, by)
        two = Linears(replace(one.precision, in_pairs=True))
        self._alone = [*_contexts(folder / "one", geometry, one)]
        self._paired = [*_contexts(folder / "two", geometry, two)]
        rng, tokens = np.random.default_rng(0), GRID[0] * GRID[1]
        size = len(injected_layers(geometry)), tokens, geometry.width
        self._visual = rng.normal(size=size[1:]).astype(np.float32)
        self._residuals = np.zeros(size, np.float32)
        self._marks = []
        for context in (*self._alone, *self._paired):
            for _ in range(STEPS):
                context.append_step(self._visual, self._residuals)
            self._marks.append(context.mark())

    def ratios(self) -> dict[str, float]:
        """One run's time over two runs', of either case."""
        one, two = self._both_in_one, self._both_in_two
        both = self._seconds(one) / self._seconds(two)
        tail, apart = self._tail_in_one, self._tail_in_two
        return {BOTH: both, TAIL: self._seconds(tail) / self._seconds(apart)}

    def _both_in_one(self) -> None:
        one, other = self._paired
        one.append_step_beside(other, self._visual, self._residuals)

    def _both_in_two(self) -> None:
        for context in self._alone:
            context.append_step(self._visual, self._residuals)

    def _tail_in_one(self) -> None:
        context = self._alone[0]
        context.saves_runs = True
        context.defer_step(self._visual, self._residuals)
        context.append_text(TEXT)
        context.saves_runs = False

    def _tail_in_two(self) -> None:
        self._alone[0].append_step(self._visual, self._residuals)
        self._alone[0].append_text(TEXT)

    def _seconds(self, work: Callable[[], None]) -> float:
        began = time.perf_counter()
        work()
        spent = time.perf_counter() - began
        for context, mark in zip((*self._alone, *self._paired), self._marks, strict=True):
            context.rewind(mark)
        return spent


def _contexts(folder: Path, geometry: DecoderGeometry, written: Linears) -> Sequence[Context]:
    """Two contexts of an emitted decoder."""
    folder.mkdir(parents=True)
    emitter = DecoderEmitter(DrawnWeights(geometry), geometry, injected_layers(geometry), written)
    engine = OnnxEngine(emitter.emit(folder), THREADS)
    manifest = _manifest(folder, geometry)
    prompt = manifest.prompt.before_video
    embeddings = np.zeros((max(*prompt, *TEXT) + 1, geometry.width), np.float16)
    room = len(prompt) + (STEPS + 1) * GRID[0] * GRID[1] + len(TEXT)
    return [Context(engine, manifest, embeddings, GRID, room) for _ in range(2)]


def _manifest(folder: Path, geometry: DecoderGeometry) -> Manifest:
    """Mini's, of another decoder."""
    manifest = Bundle.open(MINI).manifest
    layers = injected_layers(geometry)
    whole = replace(
        manifest.geometry,
        decoder=decoder_shape(geometry),
        resampler=replace(manifest.geometry.resampler, injected_layers=layers),
    )
    return replace(manifest, geometry=whole, graphs={DECODER: graph_spec(folder, DECODER)})


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = Parser(prog="python -m benchmarks saved_runs", description=__doc__)
    parser.add_argument("--shape", choices=SHAPES, default="0.5b")
    parser.add_argument("--rounds", type=numbers.whole(1), default=15, metavar="N")
    add_outputs(parser)
    return parser.parse_args(arguments)


def measured(shape: str, count: int) -> tuple[tuple[Value, ...], ...]:
    """A row for every precision: its name, and both ratios."""
    rows: list[tuple[Value, ...]] = []
    for kind, by in PRECISIONS:
        with tempfile.TemporaryDirectory() as folder:
            rig = Rig(Path(folder), SHAPES[shape].decoder, kind, by)
            rig.ratios()  # memory is allocated in a first run
            rounds = [rig.ratios() for _ in range(count)]
        ratios = (float(np.median([found[case] for found in rounds])) for case in (BOTH, TAIL))
        rows.append((f"{kind}, {by}", *ratios))
    return tuple(rows)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; returns the exit status."""
    options = parse_arguments(arguments)
    try:
        rows = measured(options.shape, options.rounds)
        inputs = input_hash(options.shape, *GRID, STEPS, TEXT)
        result = Result(
            "saved_runs",
            Conditions.here(f"{options.rounds} paired rounds", inputs),
            (Sheet("one run's time over two runs'", ("", BOTH, TAIL), rows),),
        )
        return publish(result, options, SafeConsole())
    except (RuntimeFault, OSError) as error:
        complain(error)
        return 1


if __name__ == "__main__":
    sys.exit(main())
