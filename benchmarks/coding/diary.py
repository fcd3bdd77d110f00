"""`python -m benchmarks.coding.diary`: do live questions wait for the diary?

A synthetic wearer is watched in real time, with one diary that is let work and held back in turn,
and asked a question in the middle of each spell. Each question is compared with the one of the
spell before, so that what else the machine does meets both. Measure on an idle machine: on a busy
one the difference drowns, and a decoder that is never idle keeps no diary at all.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from devices import numbers
from devices.clock import NANOSECONDS, Clock
from devices.parser import Parser, complain
from devices.synthetic.device import SyntheticDevice
from runtime.answers.alerts import StandingAlerts
from runtime.answers.aside import Recollection
from runtime.answers.listeners import Listeners, News
from runtime.answers.questions import Question
from runtime.answers.record import AnswerRecord, Conditions
from runtime.answers.session import SessionOptions, gaze_timeline, step_planner
from runtime.answers.watcher import Watcher
from runtime.bundle.opening import Bundle
from runtime.coding.coder import Coder
from runtime.coding.question import THRESHOLD, CodingQuestion
from runtime.diary.keeper import DiaryKeeper
from runtime.diary.store import MIB, Diary
from runtime.engines.choice import Machine, choose_engine
from runtime.errors import RuntimeFault
from runtime.model.brake import Brake
from runtime.model.encoder import Encoder
from runtime.model.models import Models
from runtime.run.capture import Capture, DueQuestion
from runtime.run.command_line import MINI
from runtime.run.live_loop import LiveLoop, Stages
from runtime.run.reports import Reporter
from runtime.stream.steps import Step

MOST = 1.05  # times that the median question may take with a diary
SPELL = 2 * NANOSECONDS
WARM_UP = 4 * NANOSECONDS
QUESTION = Question("What am I looking at?", ("a cup", "a knife", "a plate", "a spoon"))
THINGS = tuple(
    f"{colour} {thing}" for colour in ("red", "blue") for thing in ("cup", "key", "book")
)
RESAMPLED = 2000


class HeldBack:
    """A diary that is let work in every second spell. Of the decoder's thread."""

    def __init__(self, keeper: DiaryKeeper, clock: Clock, start: int) -> None:
        self._keeper, self._clock, self._start = keeper, clock, start

    def works_at(self, moment: int) -> bool:
        """Whether it is let work then (Unix ns)."""
        return (moment - self._start) // SPELL % 2 == 1

    def offer(self, step: Step) -> None:
        """Hand it on, or leave it."""
        if self.works_at(self._clock.now()):
            self._keeper.offer(step)

    def work(self) -> bool:
        """Code on, or do nothing."""
        return self.works_at(self._clock.now()) and self._keeper.work()

    def recall(self, question: Question, moment: int) -> Recollection | None:
        """All questions are for the model."""
        return None


@dataclass(frozen=True, slots=True)
class Waits:
    """Milliseconds to the first token of a question, and of its neighbour in time."""

    without: float
    having: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; returns the exit status, 1 where the diary delays questions."""
    parser = Parser(prog="python -m benchmarks.coding.diary", description=__doc__)
    parser.add_argument("--bundle", type=Path, default=MINI, metavar="DIR")
    parser.add_argument("--seconds", type=numbers.seconds, default=240.0, metavar="S")
    parser.add_argument("--seed", type=numbers.seed, default=7, metavar="K")
    options = parser.parse_args(arguments)
    try:
        with tempfile.TemporaryDirectory() as place:
            waits, entries = measured(options, Path(place) / "diary.sqlite")
    except RuntimeFault as error:
        complain(error)
        return 1
    ratio, low, high = ratio_of(waits)
    without, having = ([getattr(w, name) for w in waits] for name in ("without", "having"))
    print(
        f"{len(waits)} pairs of questions; {entries} entries in {options.seconds / 2:g} s of diary"
    )
    print(
        f"medians: without {statistics.median(without):.1f} ms, "
        f"with {statistics.median(having):.1f} ms"
    )
    print(f"median of the paired ratios {ratio:.3f} (95 %: {low:.3f} to {high:.3f})")
    return 0 if ratio <= MOST else 1


def measured(options: argparse.Namespace, path: Path) -> tuple[list[Waits], int]:
    """Watch; returns the pairs, and how many entries the diary has."""
    bundle = Bundle.open(options.bundle)
    models = Models(bundle, choose_engine("auto", bundle, Machine.here(), "live").load)
    settings = bundle.manifest.settings
    grid = settings.live_height, settings.live_width
    told: list[AnswerRecord] = []

    def hear(news: News) -> None:
        if type(news) is AnswerRecord:
            told.append(news)

    listeners = Listeners()
    listeners.subscribe("benchmark", hear)
    device = SyntheticDevice(options.seed, options.seconds, question_every=None)
    with device as info:
        chosen = SessionOptions.of(settings, info)
        gaze = gaze_timeline(chosen, settings, info)
        start = device.clock.now() + WARM_UP
        count = int((options.seconds * NANOSECONDS - WARM_UP) // SPELL)
        due = [DueQuestion(QUESTION, start + n * SPELL + SPELL // 2) for n in range(count)]
        coder = Coder(models, grid, CodingQuestion(THINGS))
        diary, memory = Diary(path, 64 * MIB), Diary(path)
        keeper = DiaryKeeper(diary, coder, THRESHOLD, True, listeners.notice, memory, 0.0)
        held = HeldBack(keeper, device.clock, start)
        stages = Stages(
            Capture(step_planner(models, chosen, gaze), due, glances=True),
            Encoder(models, grid, use_gaze=True),
            Watcher(models, grid, chosen.window_steps),
        )
        conditions = Conditions("causal", bundle.manifest.name, models.engine_name)
        reporter = Reporter(listeners, conditions, device.counts, gaze)
        LiveLoop(
            device,
            stages,
            StandingAlerts(),
            conditions,
            reporter,
            stays=True,
            brake=Brake(),
            aside=held,
        ).run()
        reporter.close()
        keeper.close()
    kept = Diary(path)
    entries = len(list(kept.entries()))
    kept.close()
    times = {record.asked_at: record.ttft_ms for record in told if record.ttft_ms is not None}
    moments = [each.moment for each in due if each.moment in times]
    pairs = [(a, b) for a, b in pairwise(moments) if b - a == SPELL and held.works_at(b)]
    return [Waits(times[one], times[other]) for one, other in pairs], entries


def ratio_of(waits: Sequence[Waits]) -> tuple[float, float, float]:
    """The median of with over without, and its 95 % interval by resampling the pairs.

    Raises RuntimeFault where there is no pair.
    """
    if not waits:
        raise RuntimeFault("no pair of questions was answered: watch longer, with --seconds")
    ratios = np.array([each.having / each.without for each in waits])
    random = np.random.default_rng(0)
    drawn = np.median(random.choice(ratios, (RESAMPLED, ratios.size)), axis=1)
    low, high = np.quantile(drawn, (0.025, 0.975))
    return float(np.median(ratios)), float(low), float(high)


if __name__ == "__main__":
    sys.exit(main())
