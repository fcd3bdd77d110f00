"""`python -m benchmarks.mini`: the table of mini's model card."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from benchmarks.instruments.outputs import result_file, write_result
from benchmarks.mini.forgetting import age_lines, by_age, draw_ages
from benchmarks.mini.held_out import ClipPair, held_out
from benchmarks.mini.table import Tally, agreement_line, table_lines
from benchmarks.mini.trial import Judged, Trial
from benchmarks.streamgaze.data.dataset import DataSetError
from benchmarks.streamgaze.reporting.charts import require_charts
from devices import numbers
from devices.parser import Parser, complain
from devices.synthetic.questions import ASKERS
from runtime.bundle.opening import Bundle
from runtime.errors import RuntimeFault
from runtime.model.models import Models
from runtime.run.command_line import MINI
from runtime.terminal import SafeConsole


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = Parser(
        prog="python -m benchmarks.mini",
        description="Ask mini about wearers it was not trained on, with gaze, with gaze of another "
        "clip, and without; print the shares of right answers.",
    )
    parser.add_argument("--bundle", type=Path, default=MINI, metavar="DIR")
    parser.add_argument("--seed", type=numbers.seed, default=0, help="of the wearers (default 0)")
    parser.add_argument(
        "--questions",
        type=numbers.whole(1),
        default=1000,
        metavar="N",
        help="per task (default 1000)",
    )
    parser.add_argument(
        "--checkpoints",
        type=Path,
        metavar="DIR",
        help="of `python -m export.mini`: ask PyTorch with hooks the same, and compare",
    )
    parser.add_argument(
        "--compared",
        type=numbers.whole(1),
        default=1000,
        metavar="N",
        help="questions that PyTorch is asked",
    )
    parser.add_argument(
        "--out", type=result_file, metavar="FILE", help="every answer, one JSON line each"
    )
    parser.add_argument(
        "--chart",
        type=result_file,
        metavar="FILE",
        help="draw what is right by how long ago the look was (PNG; needs the extra report)",
    )
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Evaluate; returns the exit status."""
    options = parse_arguments(arguments)
    try:
        _run(options, SafeConsole(sys.stderr))
    except (RuntimeFault, DataSetError, OSError) as error:
        complain(error)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 1
    return 0


def _run(options: argparse.Namespace, console: Console) -> None:
    bundle = Bundle.open(options.bundle)
    trial = Trial(Models(bundle))
    of_torch = None if options.checkpoints is None else _torch_trial(options.checkpoints, bundle)
    if options.chart is not None:
        require_charts()
    judged: list[Judged] = []
    pairs: list[ClipPair] = []
    tally = Tally(ASKERS, options.questions)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("questions", total=tally.wanted)
        for pair in held_out(options.seed, lambda: tally.open_tasks):
            answers = list(trial.judge(pair))
            judged += answers
            if sum(len(each.clip.questions) for each in pairs) < options.compared:
                pairs.append(pair)
            tally.add(answers)
            progress.update(task, completed=tally.counted)
            if tally.is_full:
                break
    ages = by_age(judged)
    for line in (*table_lines(tally, ASKERS), "", *age_lines(ages)):
        print(line)
    if options.out is not None:
        lines = [json.dumps(asdict(each)) + "\n" for each in judged]
        write_result(options.out, "".join(lines).encode())
    if options.chart is not None:
        draw_ages(options.chart, ages)
    if of_torch is not None:
        asked = [each for pair in pairs for each in of_torch.judge(pair)]
        print(agreement_line(judged, asked))


def _torch_trial(folder: Path, bundle: Bundle) -> Trial:
    from export.checkpoints.common import CheckpointError
    from export.mini.checkpoint import checkpoints_in
    from export.parity.torch_models import TorchModels

    files = checkpoints_in(folder)
    try:
        models = TorchModels.load(bundle, files.qwen_folder, files.vjepa_file, files.gaze_file)
    except CheckpointError as error:
        raise RuntimeFault(str(error)) from error
    return Trial(models)


if __name__ == "__main__":
    sys.exit(main())
