"""What would a device do, and how far is that off? `python -m benchmarks size`.

The formula of `runtime.check --device` for every device of the table, and the same formula on this
machine: the decoder of random weights of each shape in int4, with one thread and with two, its
peaks measured in the same run. What share of its peaks a setting reaches is taken from the other
settings that were measured, never from itself: those with as many threads where there are some.
Each prediction here has its error. Needs the extra `export`.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.instruments.conditions import Conditions, input_hash
from benchmarks.instruments.decoders.in_engine import EngineDecoder, emit_decoder
from benchmarks.instruments.decoders.rounds import measure
from benchmarks.instruments.decoders.workload import Workload
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
TOKENS = 4  # decoded in a round
COLUMNS = ("decoder, threads", "ms measured", "ms predicted", "error, %", "of peak", "taken as")
WHOLE = Reach(1.0, 1.0)  # all of the peaks


@dataclass(frozen=True, slots=True)
class Measured:
    """A decoder with some threads: peaks of the machine, and seconds of prefill and of a token.

    `bits`: of a weight, as it is stored.
    """

    shape: str
    threads: int
    size: DecoderSize
    bits: float
    peaks: Reach
    prefill: float
    token: float

    @property
    def shares(self) -> Reach:
        """What was reached of the peaks: of bandwidth by a token, of operations by a prefill."""
        prefill, token = predicted(self, WHOLE)
        return Reach(token / self.token, prefill / self.prefill)


def predicted(setting: Measured, shares: Reach) -> tuple[float, float]:
    """Seconds of a prefill and of a token, by the formula, at these shares of the peaks."""
    reach = reached(setting.peaks, shares)
    size, bits = setting.size, setting.bits
    pasts = range(0, CONTEXT, STEP)
    prefill = sum(prefill_seconds(size, reach, STEP, past, bits=bits) for past in pasts)
    return prefill, token_seconds(size, reach, CONTEXT, bits, FLOAT32)


@dataclass(frozen=True, slots=True)
class Compared:
    """Seconds of one thing that was measured, and what the formula says. `share`: what was reached
    of a peak; `taken`: what the formula took it for."""

    what: str
    measured: float
    predicted: float
    share: float
    taken: float

    @property
    def error(self) -> float:
        """The prediction's, as a share of what was measured."""
        return self.predicted / self.measured - 1


def compare(settings: Sequence[Measured]) -> Iterator[Compared]:
    """Prefill and token of every setting, predicted by what the others reached."""
    for setting in settings:
        taken = shares_elsewhere(setting, settings)
        prefill, token = predicted(setting, taken)
        own, name = setting.shares, f"{setting.shape}, {setting.threads}"
        yield Compared(
            f"{name}, prefill of {CONTEXT}",
            setting.prefill,
            prefill,
            own.operations,
            taken.operations,
        )
        yield Compared(f"{name}, a token", setting.token, token, own.bandwidth, taken.bandwidth)


def shares_elsewhere(setting: Measured, settings: Sequence[Measured]) -> Reach:
    """The medians of what the other settings reach: those with as many threads, if any."""
    others = [each for each in settings if each is not setting]
    alike = [each for each in others if each.threads == setting.threads] or others
    return Reach(
        float(np.median([each.shares.bandwidth for each in alike])),
        float(np.median([each.shares.operations for each in alike])),
    )


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


def measured_here(
    shapes: Sequence[str], rounds: int, say: Callable[[str], None] = lambda said: None
) -> Iterator[Measured]:
    """Every shape with every number of threads."""
    for shape in shapes:
        geometry = SHAPES[shape].decoder
        size = size_of(geometry)
        with tempfile.TemporaryDirectory() as folder:
            say(f"{shape}: emitting the decoder")
            path = emit_decoder(Path(folder) / "decoder", geometry, "int4", "float")
            workload = Workload.drawn(geometry, CONTEXT, STEP)
            for threads in THREADS:
                say(f"{shape}, {threads} threads")
                found = measure_peaks(Path(folder), partial(OnnxEngine, threads=threads))
                decoder = EngineDecoder(shape, path, geometry, workload, threads)
                times = measure([decoder], workload, [CONTEXT], rounds, TOKENS)
                yield Measured(
                    shape,
                    threads,
                    size,
                    8 * decoder.stored / (size.weights + size.head),
                    Reach(found.bandwidth, found.operations),
                    times.median(shape, "prefill", CONTEXT),
                    times.median(shape, "decode", CONTEXT),
                )


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


def result(settings: Sequence[Measured], rounds: int) -> Result:
    """Both tables, and whether the formula is as near as it has to be."""
    found = list(compare(settings))
    rows = tuple(
        (
            each.what,
            1e3 * each.measured,
            1e3 * each.predicted,
            100 * each.error,
            each.share,
            each.taken,
        )
        for each in found
    )
    shapes = dict.fromkeys(each.shape for each in settings)
    return Result(
        "size",
        Conditions.here(f"median of {rounds} rounds", input_hash(*shapes, CONTEXT, STEP)),
        (devices_sheet(), Sheet("this machine, int4, float accumulation", COLUMNS, rows)),
        tuple(Finding(each.what, abs(each.error), MOST_OFF) for each in found),
        {"settings": [asdict(each) for each in settings]},
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
    options, console = arguments(command_line), SafeConsole()
    try:
        with console.status("") as status:
            settings = list(measured_here(options.shape, options.rounds, status.update))
        return publish(result(settings, options.rounds), options, console)
    except (RuntimeFault, OSError) as error:
        complain(error)
        return 1


if __name__ == "__main__":
    sys.exit(main())
