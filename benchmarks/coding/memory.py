"""`python -m benchmarks.coding.memory`: does coding an hour of recording take more than a minute's?

A wearer is drawn for so long, with few frames a second, and coded, or a recording that there is;
memory is looked at after each fixation. Its growth is that of the process's own pages after the
first part, as of `soak`.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.instruments.live_memory import resident, slope
from devices import numbers
from devices.device import DeviceError
from devices.parser import Parser, complain
from devices.synthetic.cloud import draw_wearer
from runtime.bundle.opening import Bundle
from runtime.coding.coding import CodingWay, RecordingCoder
from runtime.coding.ledger import CODING
from runtime.coding.outputs.writing import write_recording
from runtime.coding.question import THRESHOLD, CodingQuestion
from runtime.coding.results import read_coding
from runtime.coding.source import open_source
from runtime.engines.choice import Machine, choose_engine
from runtime.errors import RuntimeFault
from runtime.heap import keep_heap_flat
from runtime.model.models import Models
from runtime.run.command_line import MINI

MOST = 20.0  # MiB that it may grow by in an hour of recording
FRAME_RATE = 4
THINGS = ("cup", "plate", "key", "book", "knife", "bottle")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; returns the exit status, 1 where memory grows."""
    parser = Parser(prog="python -m benchmarks.coding.memory", description=__doc__)
    parser.add_argument("--bundle", type=Path, default=MINI, metavar="DIR")
    parser.add_argument("--seconds", type=numbers.seconds, default=3600.0, metavar="S")
    parser.add_argument("--seed", type=numbers.seed, default=7, metavar="K")
    parser.add_argument("--recording", type=Path, metavar="REC", help="instead of a drawn one")
    parser.add_argument(
        "--every", type=numbers.whole(1), default=1, metavar="N", help="code each N-th fixation"
    )
    options = parser.parse_args(arguments)
    try:
        rows, added = measured(options)
    except (RuntimeFault, DeviceError) as error:
        complain(error)
        return 1
    growth = slope(np.array(rows, np.float64).reshape(-1, 2))
    if growth is None:
        complain("too few fixations to see memory grow: code a longer recording")
        return 1
    print(f"{len(rows)} fixations in {rows[-1][0]:.0f} s: {rows[-1][1]:.0f} MiB at the end")
    print(f"grows by {growth:.1f} MiB an hour of recording; writing all files adds {added:.0f} MiB")
    return 0 if growth <= MOST else 1


def measured(options: argparse.Namespace) -> tuple[list[tuple[float, float]], float]:
    """Code; seconds of the recording and MiB after each fixation, and MiB for writing all files."""
    bundle = Bundle.open(options.bundle)
    models = Models(bundle, choose_engine("auto", bundle, Machine.here(), "live").load)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        recording = options.recording or _drawn(folder / "wearer", options)
        source = open_source(recording, bundle.manifest.settings, None)
        source = replace(source, rows=source.rows[:: options.every])
        seconds = sorted((row.middle - source.read.start) / 1e9 for row in source.rows)
        rows: list[tuple[float, float]] = []

        def heard(count: int) -> None:
            for _ in range(count):
                rows.append((seconds[len(rows)], resident()))

        out = folder / "coded"
        way = CodingWay(CodingQuestion(THINGS, checks=False))
        RecordingCoder(models, way).code(source, out, heard)
        before = resident()
        write_recording(read_coding(out, source, CODING.read_conditions(out), THRESHOLD))
        return rows, resident() - before


def _drawn(folder: Path, options: argparse.Namespace) -> Path:
    return draw_wearer(folder, options.seed, options.seconds, rate=FRAME_RATE).folder


if __name__ == "__main__":
    keep_heap_flat()  # of this process, not of one that calls `main`
    sys.exit(main())
