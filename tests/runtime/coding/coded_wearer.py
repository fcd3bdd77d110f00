"""A drawn wearer, coded once by the command for all tests that read its results."""

import csv
import io
from pathlib import Path

from devices.synthetic.cloud import draw_wearer
from runtime.coding.__main__ import main

SEED, SECONDS = 9101, 8.0


def draw(folder: Path):
    return draw_wearer(folder, SEED, SECONDS)


def things_of(drawn):
    return ",".join(f'"{thing}"' for thing in drawn.things)


def coded(recording: Path, out: Path, *more: str) -> int:
    return main([str(recording), "--out", str(out), "--engine", "cpu", *more])


def table(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"), newline="")))
