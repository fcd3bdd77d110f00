"""Decode and prefill of the engines against PyTorch bf16: `python -m benchmarks decode`.

One thread, the same random weights, rounds that alternate between all decoders, so that whatever
else the machine does falls on all alike; a ratio is the median over rounds. Prefill is of visual
tokens in steps, with residuals, without logits; its rate is set against the fastest float32 matrix
multiplication of the same run. Needs the extra `export`. Measure on an idle machine.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
from rich.console import Console

from benchmarks.instruments.conditions import Conditions, cpu_features, input_hash
from benchmarks.instruments.decoders import (
    THREADS,
    Decoder,
    EngineDecoder,
    MatrixProduct,
    TorchDecoder,
    Workload,
    emit_decoder,
    prefill_operations,
)
from benchmarks.instruments.result import Result, Sheet, add_outputs, publish
from devices import numbers
from devices.parser import Parser, complain
from export.checkpoints.qwen_config import DecoderGeometry
from export.random.shapes import SHAPES
from runtime.bundle.manifest import Accumulation, QuantizationKind
from runtime.errors import RuntimeFault
from runtime.terminal import SafeConsole

ENGINES: dict[str, tuple[QuantizationKind, Accumulation]] = {
    "int4, float": ("int4", "float"),
    "int4, int8": ("int4", "int8"),
    "int8": ("int8", "int8"),
    "float32": ("float32", "float"),
}
PRODUCTS = 8  # float32 products per round


@dataclass(slots=True)
class Times:
    """Seconds of every round: of one prefill, and of one decoded token."""

    prefill: list[float] = field(default_factory=list)
    decode: list[float] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Measurement:
    """What was measured. `peak`: operations per second of the fastest float32 product; `cosines`:
    between the logits of a decoder and PyTorch's."""

    times: dict[str, Times]
    data_bytes: dict[str, int]
    cosines: dict[str, float]
    operations: int
    peak: float

    def speedup(self, name: str, stage: str) -> float:
        """How many times faster than PyTorch a decoder is: the median over rounds."""
        reference = getattr(self.times[TorchDecoder.name], stage)
        return float(np.median(np.divide(reference, getattr(self.times[name], stage))))

    def of_peak(self, name: str) -> float:
        """Prefill's operations per second, as a share of the peak."""
        return self.operations / float(np.median(self.times[name].prefill)) / self.peak


@dataclass(frozen=True, slots=True)
class Target:
    """A figure and the least it has to be."""

    what: str
    figure: float
    least: float

    @property
    def met(self) -> bool:
        """Whether it is."""
        return self.figure >= self.least


def decoders(
    folder: Path, geometry: DecoderGeometry, workload: Workload, say: Callable[[str], None]
) -> Iterator[Decoder]:
    """PyTorch's, then the engines', emitted into `folder`."""
    say("PyTorch: drawing the weights")
    yield TorchDecoder(geometry, workload)
    for name, (kind, accumulation) in ENGINES.items():
        say(f"{name}: emitting the decoder")
        path = emit_decoder(folder / name.replace(", ", "-"), geometry, kind, accumulation)
        yield EngineDecoder(name, path, geometry, workload)


def measure(
    all_decoders: Sequence[Decoder],
    product: MatrixProduct,
    operations: int,
    rounds: int,
    tokens: int,
    say: Callable[[str], None],
) -> Measurement:
    """Alternate `rounds` times between all decoders, after one round that is not counted.

    In a round each prefills once and decodes `tokens` tokens at the same place.
    """
    times = {decoder.name: Times() for decoder in all_decoders}
    logits = {}
    for decoder in all_decoders:
        decoder.prefill()
        logits[decoder.name] = decoder.decode()
    fastest = np.inf
    for number in range(rounds):
        say(f"round {number + 1} of {rounds}")
        for decoder in all_decoders:
            times[decoder.name].prefill.append(_seconds(decoder.prefill))
            decoder.decode()
            spent = [_seconds(decoder.decode) for _ in range(tokens)]
            times[decoder.name].decode.append(float(np.median(spent)))
        for multiply in (product.in_engine, product.in_torch):
            fastest = min(fastest, *(_seconds(multiply) for _ in range(PRODUCTS)))
    reference = logits[TorchDecoder.name]
    return Measurement(
        times,
        {each.name: each.data_bytes for each in all_decoders if isinstance(each, EngineDecoder)},
        {name: _cosine(values, reference) for name, values in logits.items()},
        operations,
        product.operations / fastest,
    )


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _cosine(one: np.ndarray, other: np.ndarray) -> float:
    return float(one @ other / np.linalg.norm(one) / np.linalg.norm(other))


def targets(measured: Measurement, has_amx: bool) -> list[Target]:
    """What is asked of the engines, and what they reached."""
    listed = [
        Target("decode, int4, float accumulation", measured.speedup("int4, float", "decode"), 3),
        Target("decode, int4, int8 accumulation", measured.speedup("int4, int8", "decode"), 4),
        Target("decode, int8", measured.speedup("int8", "decode"), 3),
        Target("prefill, int4, of the float32 peak", _best_int4_prefill(measured), 0.8),
    ]
    if has_amx:
        listed.append(Target("prefill, int8, AMX", measured.speedup("int8", "prefill"), 0.9))
    return listed


def _best_int4_prefill(measured: Measurement) -> float:
    return max(measured.of_peak(name) for name in ENGINES if name.startswith("int4"))


def sheet(measured: Measurement) -> Sheet:
    """One row per decoder: speeds in times PyTorch's, prefill as a share of the peak too, and how
    near the logits come to PyTorch's."""
    columns = ("", "MB", "token ms", "speed", "prefill ms", "speed", "of peak", "cosine")
    rows = []
    for name, times in measured.times.items():
        size = measured.data_bytes.get(name)
        rows.append(
            (
                name,
                None if size is None else size / 1e6,
                float(np.median(times.decode)) * 1e3,
                measured.speedup(name, "decode"),
                float(np.median(times.prefill)) * 1e3,
                measured.speedup(name, "prefill"),
                measured.of_peak(name),
                measured.cosines[name],
            )
        )
    title = f"one thread; peak {measured.peak / 1e9:.0f} GFLOP/s in float32"
    return Sheet(title, columns, tuple(rows))


def result(
    options: argparse.Namespace, workload: Workload, measured: Measurement, amx: bool
) -> Result:
    """The figures, what was asked of them, and every round."""
    reached = targets(measured, amx)
    rows = (
        (each.what, each.figure, each.least, "met" if each.met else "NOT met") for each in reached
    )
    return Result(
        "decode",
        Conditions.here(
            f"{options.rounds} paired rounds of a prefill and {options.tokens} tokens",
            input_hash(options.shape, workload.visual, workload.token, workload.step),
        ),
        (sheet(measured), Sheet("asked for", ("", "figure", "at least", ""), tuple(rows))),
        details={"threads": THREADS, **asdict(measured)},
    )


def arguments(command_line: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = Parser(prog="python -m benchmarks decode")
    parser.add_argument("--shape", choices=tuple(SHAPES), default="0.5b")
    parser.add_argument(
        "--context", type=numbers.whole(1), default=512, help="visual tokens (default 512)"
    )
    parser.add_argument(
        "--step", type=numbers.whole(1), default=128, help="tokens prefilled at a time"
    )
    parser.add_argument("--rounds", type=numbers.whole(1), default=9)
    parser.add_argument("--tokens", type=numbers.whole(1), default=8, help="decoded in a round")
    add_outputs(parser)
    parser.add_argument("--folder", type=Path, metavar="DIR", help="for the graphs (kept)")
    options = parser.parse_args(command_line)
    if options.context < options.step:
        parser.error("--context is at least one --step")
    return options


def run(options: argparse.Namespace, folder: Path, console: Console) -> int:
    """Measure, print, write; returns the exit status."""
    torch.set_num_threads(THREADS)
    geometry = SHAPES[options.shape].decoder
    workload = Workload.drawn(geometry, options.context, options.step)
    with console.status("") as status:
        measured = measure(
            list(decoders(folder, geometry, workload, status.update)),
            MatrixProduct(folder, geometry, options.step),
            prefill_operations(geometry, options.context),
            options.rounds,
            options.tokens,
            status.update,
        )
    has_amx = "amx_int8" in cpu_features()[1]
    return publish(result(options, workload, measured, has_amx), options, console)


def main(command_line: Sequence[str] | None = None) -> int:
    """Returns the exit status: 1 after an error, which is one line."""
    options = arguments(command_line)
    try:
        if options.folder:
            return run(options, options.folder, SafeConsole())
        with tempfile.TemporaryDirectory() as folder:
            return run(options, Path(folder), SafeConsole())
    except (RuntimeFault, OSError) as error:
        complain(error)
        return 1


if __name__ == "__main__":
    sys.exit(main())
