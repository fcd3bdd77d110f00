"""`python -m benchmarks.coding`: how often coded fixations are right, on drawn wearers.

The whole way: each wearer is drawn as a recording, coded by the command's own code, and the
table that it writes is compared with what is true.
"""

from __future__ import annotations

import argparse
import csv
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from devices import numbers
from devices.parser import Parser, complain
from devices.synthetic.cloud import DrawnWearer, draw_wearer
from runtime.bundle.opening import Bundle
from runtime.coding.coding import CodingWay, RecordingCoder
from runtime.coding.ledger import CODING
from runtime.coding.outputs.tables import fixations_coded
from runtime.coding.question import NONE_LISTED, THRESHOLD, CodingQuestion
from runtime.coding.results import read_coding
from runtime.coding.source import open_source
from runtime.engines.choice import Machine, choose_engine
from runtime.errors import RuntimeFault
from runtime.model.models import Models
from runtime.run.command_line import MINI

# The first 32 bits of SHA-256 of "gazeqwen-edge gaze coding hold-out", and the numbers after it:
# nobody chose them, and nothing else draws them. Whoever develops gives others.
FIRST_SEED = 0x581DAA92


@dataclass(frozen=True, slots=True)
class Coded:
    """One fixation: what it was on, what it was coded as (empty: unsure)."""

    truth: str
    coded: str


@dataclass(frozen=True, slots=True)
class Score:
    """Of some fixations. `right`: of those coded; `unsure`: share of all; `kappa` of those coded.

    `seconds`: what coding them took, in all.
    """

    fixations: int
    coded: int
    right: float
    unsure: float
    kappa: float | None
    seconds: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Draw, code, and print the table; returns the exit status."""
    parser = Parser(prog="python -m benchmarks.coding", description=__doc__)
    parser.add_argument("--bundle", type=Path, default=MINI, metavar="DIR")
    parser.add_argument("--seeds", type=numbers.whole(1), default=10, metavar="N")
    parser.add_argument("--first-seed", type=numbers.seed, default=FIRST_SEED, metavar="K")
    parser.add_argument("--seconds", type=numbers.seconds, default=60.0, metavar="S")
    parser.add_argument("--unsure-below", type=numbers.number(0, 1), default=THRESHOLD, metavar="P")
    parser.add_argument("--check", choices=("yes", "no"), default="yes")
    options = parser.parse_args(arguments)
    try:
        bundle = Bundle.open(options.bundle)
        models = Models(bundle, choose_engine("auto", bundle, Machine.here(), "live").load)
    except RuntimeFault as error:
        complain(error)
        return 1
    print(
        "| gaze | fixations | coded | right, of those coded | unsure | kappa | fixations a second |"
    )
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for name, gaze, shuffled in (
        ("as it was", "yes", False),
        ("shuffled", "yes", True),
        ("none", "none", False),
    ):
        print(_line(name, measured(models, options, gaze, shuffled)), flush=True)
    return 0


def measured(models: Models, options: argparse.Namespace, gaze: str, shuffled: bool) -> Score:
    """Code all wearers in one way."""
    coded: list[Coded] = []
    spent = 0.0
    for seed in range(options.first_seed, options.first_seed + options.seeds):
        with tempfile.TemporaryDirectory() as folder:
            drawn = draw_wearer(Path(folder) / "wearer", seed, options.seconds, shuffled)
            began = time.perf_counter()
            coded += _coded(models, drawn, options, gaze)
            spent += time.perf_counter() - began
    return score(coded, spent)


def score(coded: Sequence[Coded], seconds: float) -> Score:
    """Count."""
    from sklearn.metrics import cohen_kappa_score

    sure = [each for each in coded if each.coded]
    right = sum(each.coded == each.truth for each in sure)
    kappa = None
    if len({each.truth for each in sure}) > 1:
        kappa = float(cohen_kappa_score([s.truth for s in sure], [s.coded for s in sure]))
    count = max(len(coded), 1)
    return Score(
        len(coded),
        len(sure),
        right / max(len(sure), 1),
        (len(coded) - len(sure)) / count,
        kappa,
        seconds,
    )


def _coded(
    models: Models, drawn: DrawnWearer, options: argparse.Namespace, gaze: str
) -> list[Coded]:
    way = CodingWay(CodingQuestion(drawn.things, checks=options.check == "yes"), gaze)
    source = open_source(drawn.folder, models.bundle.manifest.settings, None)
    out = drawn.folder.with_name("coded")
    RecordingCoder(models, way).code(source, out)
    coding = read_coding(out, source, CODING.read_conditions(out), options.unsure_below)
    table = csv.DictReader(fixations_coded(coding).decode("utf-8").splitlines())
    return [
        Coded(truth or NONE_LISTED, row["thing"])
        for truth, row in zip(drawn.truth, table, strict=True)
    ]


def _line(name: str, found: Score) -> str:
    kappa = "" if found.kappa is None else f"{found.kappa:.3f}"
    return (
        f"| {name} | {found.fixations} | {found.coded} ({found.coded / found.fixations:.1%}) "
        f"| {found.right:.1%} | {found.unsure:.1%} | {kappa} "
        f"| {found.fixations / found.seconds:.1f} |"
    )


if __name__ == "__main__":
    sys.exit(main())
