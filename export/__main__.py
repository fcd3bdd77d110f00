"""`python -m export`: checkpoints in, one engine bundle out."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from unicodedata import category

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from devices import numbers
from devices.parser import Parser, complain
from devices.printable import printable
from runtime.bundle.manifest import (
    Accumulation,
    Injection,
    ParityFigure,
    QuantizationKind,
    Settings,
    Target,
)
from runtime.bundle.soundness import LONGEST_NAME, MOST_LIVE_SIDE, MOST_NEW_TOKENS
from runtime.engines.gpu import find_gpu
from runtime.errors import RuntimeFault
from runtime.run.command_line import WINDOW
from runtime.terminal import SafeConsole

GIBIBYTE = 1 << 30
VJEPA_PIXELS = 384  # of the released ViT-B
INT4_ACCUMULATION: Accumulation = "float"
# A CPU prefills several times as fast in 8 bits (docs/results.md); CUDA has no kernel for that.
PRECISIONS: dict[Target, QuantizationKind] = {"cuda": "int4", "cpu": "int8"}


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = Parser(
        prog="python -m export",
        description="Merge, compile and check the checkpoints of a GazeQwen; write one bundle.",
    )
    given = parser.add_argument_group("trained checkpoints")
    given.add_argument("--qwen", type=Path, metavar="DIR", help="Qwen2.5-VL folder")
    given.add_argument("--vjepa", type=Path, metavar="FILE", help="V-JEPA 2.1 checkpoint (.pt)")
    given.add_argument("--gaze", type=Path, metavar="FILE", help="GazeQwen checkpoint (.pt)")
    given.add_argument(
        "--vjepa-pixels",
        type=numbers.whole(16),
        metavar="N",
        help=f"its input size (default {VJEPA_PIXELS})",
    )
    given.add_argument(
        "--layers",
        type=_layers,
        metavar="A,B,C,D",
        help="decoder layers (from 0) that the GazeQwen was trained at, where its file does not "
        "tell; the released code has 6,13,20,27 at whatever depth",
    )
    drawn = parser.add_argument_group("or random weights of the real architecture")
    drawn.add_argument("--random", choices=("tiny", "0.5b", "3b", "7b"), help="which shape")
    drawn.add_argument(
        "--seed", type=numbers.seed, default=0, help="of the random weights (default 0)"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="the bundle")
    parser.add_argument("--name", help="the bundle's name (default: the folder's)")
    parser.add_argument(
        "--quant",
        choices=("int4", "int4-mixed", "int8", "fp16", "float32"),
        help="the decoder's weights (default for cuda: int4, blocks of 32 weights with a scale "
        "each; for cpu: int8, which most processors multiply faster; int4-mixed: what rounding "
        "hurts most in 8 bits)",
    )
    parser.add_argument(
        "--target",
        choices=("cuda", "cpu"),
        help="what the bundle will run on (default: cuda where this machine has an NVIDIA GPU)",
    )
    parser.add_argument(
        "--accumulate",
        choices=("float", "int8"),
        help="what int4 brings activations to before it multiplies (default float)",
    )
    parser.add_argument(
        "--encoders",
        choices=("float32", "int8"),
        help="what V-JEPA and the vision tower are multiplied in on a CPU (default float32; int8 "
        "is faster where the processor has dot products of 8-bit numbers: VNNI, AMX)",
    )
    live = parser.add_argument_group("settings of the live loop, kept in the bundle")
    live.add_argument(
        "--live-grid", metavar="HxW", help="visual tokens of a step (default 9x12, tiny 3x4)"
    )
    live.add_argument("--window", type=WINDOW, default=30.0, metavar="S", help="seconds remembered")
    live.add_argument("--min-open", type=numbers.number(0, 60), default=0.1, metavar="S")
    live.add_argument(
        "--max-new-tokens", type=numbers.whole(1, MOST_NEW_TOKENS), default=64, metavar="N"
    )
    live.add_argument(
        "--fixations", choices=("adaptive", "dispersion", "velocity", "device"), default=None
    )
    parser.add_argument(
        "--parity-memory",
        type=numbers.number(0),
        default=4.0,
        metavar="GIB",
        help="compare the decoder layer by layer if the model needs more than this (default 4)",
    )
    options = parser.parse_args(arguments)
    if options.out.is_file():
        parser.error(f"--out {options.out} is a file: give a folder")
    trained = (options.qwen, options.vjepa, options.gaze)
    if not options.out.resolve().name:
        parser.error(f"--out {options.out}: give a folder with a name of its own")
    for option, text in (("--out", str(options.out)), ("--name", options.name or "")):
        if any(category(character) in ("Cc", "Cs") for character in text):
            parser.error(f"{option} {text!r}: give a name that can be printed")
    name = options.name or options.out.resolve().name
    if printable(name, LONGEST_NAME) != name:
        parser.error(
            f"a bundle can't be called {printable(repr(name), 60)}: give --name a line of text of "
            f"at most {LONGEST_NAME} characters, without spaces in a row or at its ends"
        )
    if options.random and any((*trained, options.layers)):
        parser.error(
            "--random draws its own weights: leave out --qwen, --vjepa, --gaze and --layers"
        )
    if not options.random and not all(trained):
        parser.error("give --qwen, --vjepa and --gaze, or --random SHAPE")
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Export; returns the exit status."""
    options = parse_arguments(arguments)
    # PyTorch takes seconds to import: --help and wrong arguments need not wait for it.
    from export.checkpoints.common import CheckpointError
    from export.lock import locked

    console = SafeConsole(sys.stderr)
    try:
        settings = _settings(options)
        with locked(options.out):
            return _export(options, settings, console)
    except (CheckpointError, RuntimeFault) as error:
        complain(error)
    except OSError as error:
        complain(f"{error.filename or options.out}: {error.strerror or error}")
    except KeyboardInterrupt:
        print(
            f"interrupted: {options.out} is no bundle yet; the same command goes on",
            file=sys.stderr,
        )
    return 1


def _precision(
    options: argparse.Namespace, target: Target
) -> tuple[QuantizationKind, Accumulation]:
    """What was asked for, or what suits the target; --accumulate asks for int4."""
    unasked = PRECISIONS[target] if options.accumulate is None else "int4"
    return options.quant or unasked, options.accumulate or INT4_ACCUMULATION


def _export(options: argparse.Namespace, settings: Settings, console: Console) -> int:
    from export.builder import BundleBuilder
    from export.graphs.precision.quantization import linears

    target = options.target or ("cuda" if find_gpu() else "cpu")
    written = linears(*_precision(options, target), target)
    checkpoints = _checkpoints(options, console)
    name = options.name or options.out.resolve().name
    builder = BundleBuilder(checkpoints, options.out, name, settings, written, options.encoders)
    console.print(_injection_line(builder.injection))
    with _progress(console) as progress:
        task = progress.add_task("inspection", total=1.0)
        builder.inspect(lambda part, done: progress.update(task, description=part, completed=done))
    figures = _compared(builder.compare_reading(), console)
    if failed := [figure for figure in figures if not figure.holds]:
        print(
            f"error: the checkpoints are read otherwise than by transformers and peft "
            f"({len(failed)} of {len(figures)} comparisons), first {failed[0].graph}, "
            f"{failed[0].case}; nothing was written",
            file=sys.stderr,
        )
        return 1
    with _progress(console) as progress:
        task = progress.add_task("graphs", total=1.0)
        builder.write_graphs(
            lambda part, done: progress.update(task, description=part, completed=done)
        )
    figures += _compared(builder.compare(int(options.parity_memory * GIBIBYTE)), console)
    builder.sign(tuple(figures))
    if failed := [figure for figure in figures if not figure.holds]:
        print(
            f"error: {len(failed)} of {len(figures)} comparisons with PyTorch failed, first "
            f"{failed[0].graph}, {failed[0].case}; {options.out} is kept but will not be run",
            file=sys.stderr,
        )
        return 1
    console.print(f"{options.out}: {len(figures)} comparisons with PyTorch hold")
    return 0


def _compared(found: Iterable[ParityFigure], console: Console) -> list[ParityFigure]:
    """All of them, each printed when it is known."""
    figures = []
    for figure in found:
        figures.append(figure)
        console.print(_parity_line(figure))
    return figures


def _checkpoints(options: argparse.Namespace, console: Console):  # noqa: ANN202
    from export.checkpoints.sources import Checkpoints

    if not options.random:
        pixels = options.vjepa_pixels or VJEPA_PIXELS
        return Checkpoints(
            options.qwen, options.vjepa, options.gaze, pixels, "trained", options.layers
        )
    from export.random.weights import write_random

    whole = options.out.resolve()
    folder = whole.with_name(f"{whole.name}-checkpoints")
    with _progress(console) as progress:
        task = progress.add_task("random checkpoints", total=None)
        written = write_random(
            options.random,
            options.seed,
            folder,
            lambda done, total: progress.update(task, completed=done, total=total),
        )
    return Checkpoints(
        written.qwen_folder,
        written.vjepa_file,
        written.gaze_file,
        options.vjepa_pixels or written.vjepa_pixels,  # no weight depends on it
        weights="random",
    )


def _settings(options: argparse.Namespace) -> Settings:
    grid = options.live_grid or ("3x4" if options.random == "tiny" else "9x12")
    try:
        height, width = (int(side) for side in grid.lower().split("x"))
    except ValueError:
        height = width = 0
    if not (1 <= height <= MOST_LIVE_SIDE and 1 <= width <= MOST_LIVE_SIDE):
        raise RuntimeFault(
            f"--live-grid {printable(grid, 40)}: give height x width in tokens, such as 9x12, "
            f"each at most {MOST_LIVE_SIDE}"
        )
    return Settings(
        live_height=height,
        live_width=width,
        window=options.window,
        fixation_rule=options.fixations or "adaptive",
        min_open=options.min_open,
        max_new_tokens=options.max_new_tokens,
    )


def _progress(console: Console) -> Progress:
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console, transient=True)


def _layers(text: str) -> tuple[int, ...]:
    try:
        layers = tuple(int(part) for part in text.split(","))
    except ValueError:
        layers = ()
    if not layers or layers[0] < 0 or list(layers) != sorted(set(layers)):
        raise argparse.ArgumentTypeError(f"{text}: give layers in order, such as 6,13,20,27")
    return layers


def _injection_line(injection: Injection) -> str:
    how = {
        "amplitudes": "told by the amplitudes that training moved",
        "stated": "as --layers says",
        "assumed": "assumed, the checkpoint does not tell",
    }
    layers = ", ".join(map(str, injection.layers))
    return f"gaze enters after layers {layers}: {how[injection.known_by]}"


def _parity_line(figure: ParityFigure) -> str:
    sign = "at least" if figure.must_change else "at most"
    state = "holds" if figure.holds else "FAILS"
    told = f"{state}: {figure.graph}, {figure.case}"
    if figure.holds and figure.bound == 0:  # nothing was allowed to differ, and nothing does
        return told
    return f"{told}: {figure.difference:.2e} ({sign} {figure.bound:.2e})"


if __name__ == "__main__":
    sys.exit(main())
