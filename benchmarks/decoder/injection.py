"""What does injection cost? `python -m benchmarks injection`, on the CPU.

The decoder with residuals fused into its graph against the plain decoder: a graph of the same
weights that was emitted without them. And PyTorch bf16 with the released code's hooks against
PyTorch without. Rounds alternate between all of them; a figure is the median over rounds of the
time with residuals over the time without. The residuals are as large as the stream, so that what
they do to the logits is seen: whoever adds them has to be as near to PyTorch with hooks in float32
as the plain decoder is to PyTorch without. Needs the extra `export`.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from benchmarks.instruments.conditions import Conditions, input_hash
from benchmarks.instruments.decoders.fidelity import COLUMNS as FIDELITY
from benchmarks.instruments.decoders.fidelity import Fidelity, reference_logits
from benchmarks.instruments.decoders.in_engine import EngineDecoder, emit_decoder
from benchmarks.instruments.decoders.in_torch import TorchDecoder, TorchModel
from benchmarks.instruments.decoders.measured import ENGINES, TORCH
from benchmarks.instruments.decoders.rounds import Rounds, measure
from benchmarks.instruments.decoders.workload import THREADS, Decoder, Workload
from benchmarks.instruments.result import Result, Sheet, add_outputs, publish
from devices import numbers
from devices.parser import Parser, complain
from export.checkpoints.qwen_config import DecoderGeometry
from export.random.shapes import SHAPES
from runtime.errors import RuntimeFault
from runtime.terminal import SafeConsole

CONTEXT, STEP = 512, 128  # tokens
PLAIN, INJECTED = "plain", "with residuals"
FUSED = tuple(name for name in ENGINES if name != "float32")
COLUMNS = ("", "prefill ms", "times plain", "token ms", "token times plain", *FIDELITY)
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """One decoder without residuals and with them."""

    name: str
    plain: Decoder
    injected: Decoder


def pairs(
    folder: Path,
    geometry: DecoderGeometry,
    plain: Workload,
    injected: Workload,
    names: Sequence[str],
    threads: int,
    say: Say = lambda said: None,
) -> Iterator[Pair]:
    """PyTorch without hooks and with them, then the engines of `names`."""
    say("PyTorch: drawing the weights")
    model = TorchModel(geometry)
    yield Pair(
        TORCH,
        TorchDecoder(model, plain, name=f"{TORCH}, {PLAIN}"),
        TorchDecoder(model, injected, hooks=True, name=f"{TORCH}, {INJECTED}"),
    )
    for name in names:
        say(f"{name}: emitting the decoder twice")
        both = []
        for kind, work in ((PLAIN, plain), (INJECTED, injected)):
            takes = kind == INJECTED
            place = folder / name.replace(", ", "-") / kind.replace(" ", "-")
            path = emit_decoder(place, geometry, *ENGINES[name], injected=takes)
            told = f"{name}, {kind}"
            both.append(EngineDecoder(told, path, geometry, work, threads, injected=takes))
        yield Pair(name, *both)


def sheet(found: Rounds, names: Sequence[str], fidelity: dict[str, Fidelity], depth: int) -> Sheet:
    """Two rows for each decoder."""
    rows = []
    for name in names:
        plain = f"{name}, {PLAIN}"
        for which in (plain, f"{name}, {INJECTED}"):
            cells = []
            for stage in ("prefill", "decode"):
                cells.append(1e3 * found.median(which, stage, depth))
                cells.append(None if which == plain else found.ratio(which, plain, stage, depth))
            rows.append((which, *cells, *fidelity[which].cells))
    return Sheet(f"{depth} tokens prefilled, and a token behind them", COLUMNS, tuple(rows))


def run(options: argparse.Namespace, folder: Path, say: Say) -> Result:
    """Measure."""
    torch.set_num_threads(options.threads)
    geometry = SHAPES[options.shape].decoder
    plain = Workload.drawn(geometry, options.context, min(STEP, options.context))
    works = {PLAIN: plain, INJECTED: plain.injected()}
    every = list(pairs(folder, geometry, *works.values(), options.only, options.threads, say))
    both = [decoder for pair in every for decoder in (pair.plain, pair.injected)]
    found = measure(both, plain, [options.context], options.rounds, options.tokens, say)
    say("the references in float32")
    references = {kind: reference_logits(geometry, work) for kind, work in works.items()}
    fidelity = {
        name: Fidelity.of(logits, references[name.rpartition(", ")[2]])
        for name, logits in found.logits.items()
    }
    # What residuals change, beside what rounding does: else a lost injection would look near.
    changed = Fidelity.of(references[INJECTED], references[PLAIN])
    apart = Sheet(
        "what the residuals do to the logits", ("", *FIDELITY), (("in float32", *changed.cells),)
    )
    names = [pair.name for pair in every]
    return Result(
        "injection",
        Conditions.here(
            f"{options.rounds} paired rounds of a prefill and {options.tokens} tokens",
            input_hash(options.shape, plain.context, plain.answer, plain.step),
        ),
        (sheet(found, names, fidelity, options.context), apart),
        details={
            "shape": options.shape,
            "threads": options.threads,
            "times": {name: asdict(each[options.context]) for name, each in found.times.items()},
            "fidelity": {name: asdict(each) for name, each in fidelity.items()},
        },
    )


def arguments(command_line: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = Parser(prog="python -m benchmarks injection", description=__doc__)
    parser.add_argument("--shape", choices=tuple(SHAPES), default="0.5b")
    parser.add_argument("--context", type=numbers.whole(1), default=CONTEXT, metavar="TOKENS")
    parser.add_argument("--rounds", type=numbers.whole(1), default=15, metavar="N")
    parser.add_argument("--tokens", type=numbers.whole(1), default=8, help="decoded in a round")
    parser.add_argument("--threads", type=numbers.whole(1), default=THREADS)
    parser.add_argument("--only", nargs="+", choices=FUSED, default=list(FUSED), metavar="NAME")
    add_outputs(parser)
    return parser.parse_args(command_line)


def main(command_line: Sequence[str] | None = None) -> int:
    """Returns the exit status: 1 after an error, which is one line."""
    options = arguments(command_line)
    console = SafeConsole()
    try:
        with tempfile.TemporaryDirectory() as folder, console.status("") as status:
            measured = run(options, Path(folder), status.update)
        return publish(measured, options, console)
    except (RuntimeFault, OSError) as error:
        complain(error)
        return 1


if __name__ == "__main__":
    sys.exit(main())
