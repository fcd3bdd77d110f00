"""What would a device do, and how far is that off? `python -m benchmarks size`.

The formula of `runtime.check --device` for every device of the table, and the same formula on this
machine: the decoder of random weights of each shape in int4, with one thread and with two, its
peaks measured in the same run. Each prediction here has its error. Needs the extra `export`.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.instruments.conditions import Conditions, input_hash
from benchmarks.instruments.decoders import EngineDecoder, Workload, emit_decoder
from benchmarks.instruments.findings import Finding
from benchmarks.instruments.peaks import measure_peaks
from benchmarks.instruments.result import Result, Sheet, add_outputs, publish
from devices import numbers
from devices.parser import Parser, complain
from export.checkpoints.qwen_config import DecoderGeometry
from export.random.shapes import SHAPES
from runtime.engines.engine import OnnxEngine
from runtime.errors import RuntimeFault
from runtime.sizing.devices import DEVICES
from runtime.sizing.prediction import (
    CPU_SHARES,
    SHOWN,
    Reach,
    predict,
    prefill_seconds,
    reached,
    token_seconds,
)
from runtime.sizing.workload import DecoderSize
from runtime.terminal import SafeConsole

MOST_OFF = 0.25  # of what was measured
STEP = 128  # tokens
CONTEXT = 4 * STEP
FLOAT32 = 4  # bytes
THREADS = (1, 2)
COLUMNS = ("decoder, threads", "ms measured", "ms predicted", "error, %")


@dataclass(frozen=True, slots=True)
class Compared:
    """Seconds of one thing that was measured, and what the formula says."""

    what: str
    measured: float
    predicted: float

    @property
    def error(self) -> float:
        """The prediction's, as a share of what was measured."""
        return self.predicted / self.measured - 1


def size_of(geometry: DecoderGeometry) -> DecoderSize:
    """The sizes that the formula asks for."""
    return DecoderSize(
        geometry.layers,
        geometry.width,
        geometry.heads,
        geometry.kv_heads,
        geometry.head_dim,
        geometry.intermediate,
        geometry.vocabulary,
        geometry.tied,
    )


def compare(
    name: str, decoder: EngineDecoder, geometry: DecoderGeometry, peaks: Reach, rounds: int
) -> tuple[Compared, Compared]:
    """Prefill of a context and decoding of a token, measured and predicted."""
    size, reach = size_of(geometry), reached(peaks, CPU_SHARES)
    bits = 8 * decoder.data_bytes / (size.weights + size.head)
    pasts = range(0, CONTEXT, STEP)
    prefill = sum(prefill_seconds(size, reach, STEP, past, bits=bits) for past in pasts)
    token = token_seconds(size, reach, CONTEXT, bits, FLOAT32)
    decoder.prefill()
    decoder.decode()
    return (
        Compared(f"{name}, prefill of {CONTEXT}", _median(decoder.prefill, rounds), prefill),
        Compared(f"{name}, a token", _median(decoder.decode, 4 * rounds), token),
    )


def _median(work: Callable[[], object], rounds: int) -> float:
    spent = []
    for _ in range(rounds):
        began = time.perf_counter()
        work()
        spent.append(time.perf_counter() - began)
    return float(np.median(spent))


def compared_here(shapes: Sequence[str], rounds: int) -> Iterator[Compared]:
    """Every shape with every number of threads."""
    for shape in shapes:
        geometry = SHAPES[shape].decoder
        with tempfile.TemporaryDirectory() as folder:
            path = emit_decoder(Path(folder) / "decoder", geometry, "int4", "float")
            workload = Workload.drawn(geometry, CONTEXT, STEP)
            for threads in THREADS:
                found = measure_peaks(Path(folder), partial(OnnxEngine, threads=threads))
                peaks = Reach(found.bandwidth, found.operations)
                decoder = EngineDecoder(shape, path, geometry, workload, threads)
                yield from compare(f"{shape}, {threads}", decoder, geometry, peaks, rounds)


def devices_sheet() -> Sheet:
    """What the formula says of devices that nobody measured."""
    rows = []
    for device in DEVICES:
        for shape in SHOWN:
            said = predict(device, shape)
            fits = said.window > 0
            figures = (said.pairs, said.steps, said.first_token, said.tokens)
            rows.append(
                (
                    f"{device.name}, {shape}",
                    said.memory / 1e9,
                    said.window,
                    *(figures if fits else (None,) * len(figures)),
                    device.source,
                )
            )
    columns = ("device", "GB", "steps kept", "pairs/s", "steps/s", "first token, s", "tokens/s")
    title = "computed, error not known: none of these was measured; no figures: it does not fit"
    return Sheet(title, (*columns, "source"), tuple(rows))


def result(found: Sequence[Compared], shapes: Sequence[str], rounds: int) -> Result:
    """Both tables, and whether the formula is as near as it has to be."""
    rows = tuple(
        (each.what, 1e3 * each.measured, 1e3 * each.predicted, 100 * each.error) for each in found
    )
    return Result(
        "size",
        Conditions.here(f"median of {rounds} rounds", input_hash(*shapes, CONTEXT, STEP)),
        (devices_sheet(), Sheet("this machine, int4, float accumulation", COLUMNS, rows)),
        tuple(Finding(each.what, abs(each.error), MOST_OFF) for each in found),
        {"compared": [asdict(each) for each in found], "shares": asdict(CPU_SHARES)},
    )


def arguments(command_line: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = Parser(prog="python -m benchmarks size", description=__doc__)
    parser.add_argument(
        "--shape", choices=tuple(SHAPES), nargs="*", default=["0.5b"], help="measured (0.5b)"
    )
    parser.add_argument("--rounds", type=numbers.whole(1), default=5, metavar="N")
    add_outputs(parser)
    return parser.parse_args(command_line)


def main(command_line: Sequence[str] | None = None) -> int:
    """The exit status: 1 after an error, or where a prediction is too far off."""
    options = arguments(command_line)
    try:
        found = list(compared_here(options.shape, options.rounds))
        told = result(found, options.shape, options.rounds)
        return publish(told, options, SafeConsole())
    except (RuntimeFault, OSError) as error:
        complain(error)
        return 1


if __name__ == "__main__":
    sys.exit(main())
