"""What does an answer cost in joules? `python -m benchmarks energy --bundle DIR --engine NAME`.

Every stage is repeated for a while, and what the machine draws meanwhile, less what it draws when
it rests, is shared among its runs. Measured with NVML on a GPU with a board of its own, of that
board alone, and with tegrastats on a Jetson, of the whole module. Elsewhere it is not measured.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.instruments.conditions import Conditions, input_hash
from benchmarks.instruments.pipeline import Pipeline, Stage
from benchmarks.instruments.power import Meter, open_meter
from benchmarks.instruments.result import Result, Sheet, Value, add_outputs, publish
from devices import numbers
from devices.parser import Parser, complain
from runtime.bundle.opening import Bundle
from runtime.engines.choice import ENGINES, Machine, choose_engine
from runtime.errors import RuntimeFault
from runtime.model.models import Models
from runtime.run.command_line import MINI
from runtime.terminal import SafeConsole

COLUMNS = ("", "n", "J each", "W above rest", "W")
NOT_MEASURED = "not measured: this machine has neither NVML's energy counter nor tegrastats"
REST = "at rest"


@dataclass(frozen=True, slots=True)
class Drawn:
    """Joules and seconds of `count` runs of something."""

    name: str
    count: int
    joules: float
    seconds: float

    @property
    def watts(self) -> float:
        """On average."""
        return self.joules / self.seconds

    def row(self, rest: float) -> tuple[Value, ...]:
        """Beside `rest`, the watts that are drawn anyway."""
        above = self.watts - rest
        return self.name, self.count, above * self.seconds / self.count, above, self.watts


def draw(
    name: str, work: Callable[[], None], meter: Meter, seconds: float, now: Callable[[], float]
) -> Drawn:
    """Repeat some work for so long. `now`: seconds of a monotonic clock."""
    before, began, count = meter.joules(), now(), 0
    while True:
        work()
        count += 1
        if now() - began >= seconds:
            return Drawn(name, count, meter.joules() - before, now() - began)


def measure(
    pipeline: Pipeline,
    meter: Meter,
    seconds: float,
    now: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> tuple[Drawn, list[Drawn]]:
    """What is drawn at rest, and by every stage; each has run before."""
    rest = draw(REST, lambda: sleep(seconds), meter, seconds, now)
    found = []
    for stage in pipeline.stages:
        work = _rewinding(pipeline, stage)
        work()
        found.append(draw(stage.name, work, meter, seconds, now))
    return rest, found


def _rewinding(pipeline: Pipeline, stage: Stage) -> Callable[[], None]:
    def work() -> None:
        stage.run()
        pipeline.rewind()

    return work


def sheet(title: str, rest: Drawn, drawn: Sequence[Drawn]) -> Sheet:
    """A row for each stage; the one at rest has no joules of its own."""
    rows = (each.row(rest.watts) for each in drawn)
    return Sheet(title, COLUMNS, ((REST, rest.count, None, None, rest.watts), *rows))


def run(options: argparse.Namespace, machine: Machine) -> Result:
    """Measure. Raises RuntimeFault."""
    bundle = Bundle.open(options.bundle)
    choice = choose_engine(options.engine, bundle, machine)
    title = f"{bundle.manifest.name} ({bundle.manifest.quantization.kind}) on {choice.line}"
    with open_meter() as meter:
        if meter is None:
            blank = (None,) * (len(COLUMNS) - 1)
            found = Sheet(title, COLUMNS, ((NOT_MEASURED, *blank),))
        else:
            drawn = measure(Pipeline(Models(bundle, choice.load)), meter, options.seconds)
            found = sheet(f"{title}; {meter.name}", *drawn)
    repeats = f"each stage for {options.seconds:g} s"
    return Result("energy", Conditions.here(repeats, input_hash(0), bundle), (found,))


def arguments(command_line: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = Parser(prog="python -m benchmarks energy", description=__doc__)
    parser.add_argument("--bundle", type=Path, default=MINI, metavar="DIR")
    parser.add_argument("--engine", choices=ENGINES, default="auto")
    parser.add_argument(
        "--seconds", type=numbers.number(0.1, 3600), default=10.0, help="of each stage"
    )
    add_outputs(parser)
    return parser.parse_args(command_line)


def main(command_line: Sequence[str] | None = None, machine: Machine | None = None) -> int:
    """The exit status: 1 after an error, which is one line."""
    options = arguments(command_line)
    try:
        return publish(run(options, machine or Machine.here()), options, SafeConsole())
    except (RuntimeFault, OSError) as error:
        complain(error)
        return 1


if __name__ == "__main__":
    sys.exit(main())
