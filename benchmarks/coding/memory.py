"""`python -m benchmarks.coding.memory`: does coding an hour of recording take more than a minute's?

A wearer is drawn for so long, with few frames a second, and coded; memory is looked at after each
fixation. Its growth is that of the process's own pages after the first part, as of `soak`.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.live_memory import resident, slope
from devices import numbers
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


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; returns the exit status, 1 where memory grows."""
    parser = Parser(prog="python -m benchmarks.coding.memory", description=__doc__)
    parser.add_argument("--bundle", type=Path, default=MINI, metavar="DIR")
    parser.add_argument("--seconds", type=numbers.seconds, default=3600.0, metavar="S")
    parser.add_argument("--seed", type=numbers.seed, default=7, metavar="K")
    options = parser.parse_args(arguments)
    keep_heap_flat()
    try:
        bundle = Bundle.open(options.bundle)
        models = Models(bundle, choose_engine("auto", bundle, Machine.here(), "live").load)
    except RuntimeFault as error:
        complain(error)
        return 1
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        drawn = draw_wearer(folder / "wearer", options.seed, options.seconds, rate=FRAME_RATE)
        source = open_source(drawn.folder, bundle.manifest.settings, None)
        seconds = sorted((row.middle - source.read.start) / 1e9 for row in source.rows)
        rows: list[tuple[float, float]] = []

        def heard(count: int) -> None:
            for _ in range(count):
                rows.append((seconds[len(rows)], resident()))

        way = CodingWay(CodingQuestion(drawn.things, checks=False))
        out = folder / "coded"
        RecordingCoder(models, way).code(source, out, heard)
        before = resident()
        write_recording(read_coding(out, source, CODING.read_conditions(out), THRESHOLD))
        after = resident()
    growth = slope(np.array(rows))
    print(f"{len(rows)} fixations of {options.seconds:g} s: {rows[-1][1]:.0f} MiB at the end")
    print(
        f"grows by {growth:.1f} MiB an hour of recording; writing all files adds "
        f"{after - before:.0f} MiB"
    )
    return 0 if growth is not None and growth <= MOST else 1


if __name__ == "__main__":
    sys.exit(main())
