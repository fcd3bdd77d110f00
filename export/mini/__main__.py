"""`python -m export.mini`: train mini from a seed and write its checkpoints."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from devices import numbers
from devices.parser import Parser, complain
from runtime.terminal import SafeConsole

STEPS_PER_STATE = 100


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = Parser(
        prog="python -m export.mini",
        description="Train mini on synthetic wearers; write Qwen2.5-VL, V-JEPA and GazeQwen files. "
        "An interrupted training goes on when the same command is given again.",
    )
    parser.add_argument(
        "--seed", type=numbers.seed, default=0, help="of weights and data (default 0)"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="the checkpoints")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Train and write; returns the exit status."""
    options = parse_arguments(arguments)
    # PyTorch takes seconds to import: --help and wrong arguments need not wait for it.
    from export.checkpoints.common import CheckpointError

    console = SafeConsole(sys.stderr)
    try:
        _train(options, console)
    except CheckpointError as error:
        complain(error)
        return 1
    except OSError as error:
        complain(f"{error.filename or options.out}: {error.strerror or error}")
        return 1
    except KeyboardInterrupt:
        print(f"interrupted: give the same command to go on, {options.out}", file=sys.stderr)
        return 1
    return 0


def _train(options: argparse.Namespace, console: Console) -> None:
    import torch

    from export.mini.checkpoint import write_checkpoints
    from export.mini.plan import TrainingPlan
    from export.mini.sizes import MiniSizes
    from export.mini.state import load_state, save_state
    from export.mini.training import Trainer

    options.out.mkdir(parents=True, exist_ok=True)  # now, rather than when an hour has passed
    torch.set_num_threads(1)  # the other core draws the clips; the order of sums stays the same
    plan = TrainingPlan(options.seed)
    trainer = Trainer(plan, MiniSizes())
    load_state(trainer, options.out)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("training", total=plan.total, completed=trainer.step)
        for report in trainer.run(plan.total):
            figures = ", ".join(f"{name} {value:.2f}" for name, value in report.figures.items())
            described = f"{report.stage}: {figures}"
            progress.update(task, completed=report.step, description=described)
            if report.step % STEPS_PER_STATE == 0:
                save_state(trainer, options.out)
    save_state(trainer, options.out)
    write_checkpoints(trainer.model, trainer.tokenizer, options.out)
    console.print(
        f"{options.out}: trained; make a bundle of it with\n  {_export_command(options.out)}"
    )


def _export_command(folder: Path) -> str:
    from export.mini.checkpoint import checkpoints_in
    from export.mini.sizes import GRID, VJEPA

    files = checkpoints_in(folder)
    return (
        f"python -m export --qwen {files.qwen_folder} --vjepa {files.vjepa_file} "
        f"--gaze {files.gaze_file} --vjepa-pixels {VJEPA.pixels} --live-grid {GRID}x{GRID} "
        "--fixations velocity --max-new-tokens 16 --out BUNDLE"
    )


if __name__ == "__main__":
    sys.exit(main())
