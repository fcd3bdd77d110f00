"""Decode and prefill of the engines, beside PyTorch bf16 and peers: `python -m benchmarks decode`.

The same random weights, rounds that alternate between all decoders, so that whatever else the
machine does falls on all alike; a ratio is the median over rounds. Prefill is of visual tokens in
steps, with residuals, without logits. Rates are set against the fastest float32 product and the
fastest read of the same run, and every row says how near its logits are to PyTorch's in float32.
Needs the extra `export`; `--peers` the extra `peers`, too. Measure on an idle machine.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from functools import partial
from pathlib import Path

import torch
from rich.console import Console

from benchmarks.decoder.peers.catalog import FAMILIES, PEERS, peers_of
from benchmarks.decoder.peers.process import start_peer
from benchmarks.instruments.conditions import Conditions, cpu_features, input_hash
from benchmarks.instruments.decoders.fidelity import COLUMNS as FIDELITY
from benchmarks.instruments.decoders.fidelity import Fidelity, reference_logits
from benchmarks.instruments.decoders.in_engine import EngineDecoder, emit_decoder
from benchmarks.instruments.decoders.in_torch import TorchDecoder, TorchModel
from benchmarks.instruments.decoders.measured import ENGINES, TORCH, Measurement, targets
from benchmarks.instruments.decoders.rounds import DecoderLost, measure
from benchmarks.instruments.decoders.workload import (
    THREADS,
    Decoder,
    Workload,
    prefill_operations,
)
from benchmarks.instruments.peaks import measure_peaks
from benchmarks.instruments.result import Result, Sheet, Value, add_outputs, publish
from devices import numbers
from devices.parser import Parser, complain
from export.checkpoints.qwen_config import DecoderGeometry
from export.random.shapes import SHAPES
from runtime.engines.engine import OnnxEngine
from runtime.errors import RuntimeFault
from runtime.terminal import SafeConsole

COLUMNS = (
    "",
    "MB",
    "tokens/s",
    "times PyTorch",
    "of bandwidth",
    "prefill tokens/s",
    "prefill times PyTorch",
    "of peak",
    *FIDELITY,
)
Say = Callable[[str], None]


def decoders(
    folder: Path,
    geometry: DecoderGeometry,
    workload: Workload,
    say: Say,
    names: Sequence[str] = (TORCH, *ENGINES),
    threads: int = THREADS,
) -> Iterator[Decoder]:
    """PyTorch's, then the engines', emitted into `folder`; those of `names`."""
    if TORCH in names:
        say("PyTorch: drawing the weights")
        yield TorchDecoder(TorchModel(geometry), workload)
    for name, (kind, accumulation) in ENGINES.items():
        if name in names:
            say(f"{name}: emitting the decoder")
            path = emit_decoder(folder / name.replace(", ", "-"), geometry, kind, accumulation)
            yield EngineDecoder(name, path, geometry, workload, threads)


def opened_peers(
    options: argparse.Namespace, folder: Path, workload: Workload, stack: ExitStack, say: Say
) -> tuple[list[Decoder], dict[str, str]]:
    """The peers that can be had, and why the others can't."""
    opened: list[Decoder] = []
    lost: dict[str, str] = {}
    for peer in peers_of(options.peers):
        say(f"{peer.name}: writing and loading its weights")
        try:
            started = start_peer(peer, options.shape, workload, folder / "peers", options.threads)
        except DecoderLost as error:
            lost[peer.name] = str(error)
        else:
            opened.append(stack.enter_context(started))
    return opened, lost


def sheet(measured: Measurement, depth: int, threads: int, lost: Mapping[str, str]) -> Sheet:
    """A row for each decoder; of one that could not be measured, why."""
    rounds, rows = measured.rounds, []
    for name in rounds.times:
        stored = measured.stored[name]
        cells: tuple[Value, ...] = (
            name,
            None if stored is None else stored / 1e6,
            1 / rounds.median(name, "decode", depth),
            measured.speedup(name, "decode", depth),
            measured.of_bandwidth(name, depth),
            depth / rounds.median(name, "prefill", depth),
            measured.speedup(name, "prefill", depth),
            measured.of_peak(name, depth),
            *measured.fidelity[name].cells,
        )
        rows.append(cells)
    for name, why in {**lost, **rounds.lost}.items():
        rows.append((f"{name}: not measured: {why}", *(None,) * (len(COLUMNS) - 1)))
    peaks = measured.peaks
    title = (
        f"{depth} tokens in the context, {threads} thread{'s' if threads > 1 else ''}; peaks "
        f"{peaks.operations / 1e9:.0f} GFLOP/s in float32 and {peaks.bandwidth / 1e9:.1f} GB/s"
    )
    return Sheet(title, COLUMNS, tuple(rows))


def result(
    options: argparse.Namespace,
    workload: Workload,
    measured: Measurement,
    lost: Mapping[str, str],
    amx: bool,
) -> Result:
    """The figures, what was asked of them, and every round."""
    bits = {peer.name: peer.bits for peer in PEERS}
    reached = targets(measured, amx, options.depths[0], bits)
    rows = (
        (each.what, each.figure, each.least, "met" if each.met else "NOT met") for each in reached
    )
    asked = Sheet(
        f"asked for, {options.depths[0]} tokens", ("", "figure", "at least", ""), tuple(rows)
    )
    tables = (sheet(measured, depth, options.threads, lost) for depth in options.depths)
    return Result(
        "decode",
        Conditions.here(
            f"{options.rounds} paired rounds of a prefill and {options.tokens} tokens",
            input_hash(options.shape, workload.context, workload.answer, workload.step),
        ),
        (*tables, asked),
        details={
            "shape": options.shape,
            "threads": options.threads,
            "step": options.step,
            "times": {
                name: {str(depth): asdict(times) for depth, times in depths.items()}
                for name, depths in measured.rounds.times.items()
            },
            "stored": dict(measured.stored),
            "fidelity": {name: asdict(each) for name, each in measured.fidelity.items()},
            "peaks": asdict(measured.peaks),
        },
    )


def arguments(command_line: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = Parser(prog="python -m benchmarks decode", description=__doc__)
    parser.add_argument("--shape", choices=tuple(SHAPES), default="0.5b")
    parser.add_argument(
        "--depths",
        type=numbers.whole(1),
        nargs="+",
        default=[512],
        metavar="N",
        help="tokens in the context (default 512)",
    )
    parser.add_argument(
        "--step", type=numbers.whole(1), default=128, help="tokens prefilled at a time"
    )
    parser.add_argument("--rounds", type=numbers.whole(1), default=9)
    parser.add_argument("--tokens", type=numbers.whole(1), default=8, help="decoded in a round")
    parser.add_argument("--threads", type=numbers.whole(1), default=THREADS)
    parser.add_argument(
        "--only", nargs="+", choices=(TORCH, *ENGINES), default=[TORCH, *ENGINES], metavar="NAME"
    )
    parser.add_argument(
        "--peers", nargs="*", choices=FAMILIES, default=[], help="other projects' decoders"
    )
    add_outputs(parser)
    parser.add_argument("--folder", type=Path, metavar="DIR", help="for the graphs (kept)")
    options = parser.parse_args(command_line)
    options.depths = sorted(set(options.depths))
    if any(depth % options.step for depth in options.depths):
        parser.error("--depths are whole numbers of --step")
    return options


def run(options: argparse.Namespace, folder: Path, console: Console) -> int:
    """Measure, print, write; returns the exit status."""
    torch.set_num_threads(options.threads)
    geometry = SHAPES[options.shape].decoder
    workload = Workload.drawn(geometry, options.depths[-1], options.step)
    with console.status("") as status, ExitStack() as stack:
        own = decoders(folder, geometry, workload, status.update, options.only, options.threads)
        peers, lost = opened_peers(options, folder, workload, stack, status.update)
        every = [*own, *peers]
        status.update("measuring the peaks")
        peaks = measure_peaks(folder, partial(OnnxEngine, threads=options.threads))
        spent = options.depths, options.rounds, options.tokens, status.update
        rounds = measure(every, workload, *spent)
        status.update("the reference in float32")
        reference = reference_logits(geometry, workload)
    measured = Measurement(
        rounds,
        {each.name: each.stored for each in every},
        {name: Fidelity.of(logits, reference) for name, logits in rounds.logits.items()},
        {depth: prefill_operations(geometry, depth) for depth in options.depths},
        peaks,
    )
    has_amx = "amx_int8" in cpu_features()[1]
    return publish(result(options, workload, measured, lost, has_amx), options, console)


def main(command_line: Sequence[str] | None = None) -> int:
    """Returns the exit status: 1 after an error, which is one line."""
    options = arguments(command_line)
    try:
        if options.folder:
            options.folder.mkdir(parents=True, exist_ok=True)
            return run(options, options.folder, SafeConsole())
        with tempfile.TemporaryDirectory() as folder:
            return run(options, Path(folder), SafeConsole())
    except (RuntimeFault, OSError) as error:
        complain(error)
        return 1


if __name__ == "__main__":
    sys.exit(main())
