"""What was known of gaze at a moment, in whatever order it came, and what it costs to know."""

import numpy as np
import pytest

from devices.samples import GazeSample
from runtime.stream.adaptive_rule import AdaptiveRule
from runtime.stream.gaze_timeline import GazeTimeline
from runtime.stream.segments import FixationRule, FrameMark

MS = 1_000_000


class CountingRule(FixationRule):
    """Remembers nothing; `fed` counts over all of its copies."""

    def __init__(self):
        self.fed = []

    def feed(self, event):
        self.fed.append(event)

    def active(self, moment, min_open):
        return ()


def gaze(at, x=0.5):
    return GazeSample(at, at, x, 0.5)


def test_frames_behind_gaze_cost_only_the_gaze_since_them():
    rule = CountingRule()
    timeline = GazeTimeline(rule, 0.1, 0.25)
    events = 0
    for at in range(0, 1900, 5):
        timeline.add(gaze(at * MS))
        events += 1
        if at % 35 == 0 and at >= 100:
            timeline.add(FrameMark((at - 100) * MS))
            events += 1
        timeline.view(at * MS)
    # At each of the 51 frames the 20 samples of 100 ms again, and up to 16 to the state kept.
    assert len(rule.fed) <= events + 52 * (23 + 16)


@pytest.mark.parametrize("seed", range(3))
def test_views_are_those_of_everything_in_order(seed):
    """Gaze and frames come each in order but late, moments are asked for and settled on the way."""
    rng = np.random.default_rng(seed)
    places = rng.uniform(0.2, 0.8, 20).repeat(50) + rng.normal(0, 0.002, 1000)
    events = [gaze(i * 5 * MS, x) for i, x in enumerate(places.tolist())]
    events += [FrameMark(i * 33 * MS, (rng.normal(0, 0.3), 0.0)) for i in range(150)]
    arrivals = [
        (event.captured_at + (120 * MS if isinstance(event, FrameMark) else 0), index)
        for index, event in enumerate(events)
    ]
    late, settled = GazeTimeline(AdaptiveRule((103.0, 77.0)), 0.1, 0.25), 0
    in_order = sorted(events, key=lambda event: (event.captured_at, isinstance(event, FrameMark)))
    asked = {}
    for arrival, index in sorted(arrivals):
        late.add(events[index])
        late.view(arrival)  # the newest, of which not all is known yet
        known = arrival - 120 * MS
        if index % 7 == 0 and known > settled:
            asked[known] = late.view(known)
        if index % 90 == 0 and known > settled:
            late.settle(known)
            settled = known
    assert len(asked) > 50
    for moment in list(asked)[:: len(asked) // 12]:
        fresh = GazeTimeline(AdaptiveRule((103.0, 77.0)), 0.1, 0.25)
        for event in in_order:
            if event.captured_at <= moment:
                fresh.add(event)
        assert asked[moment] == fresh.view(moment)
    assert sum(bool(view.fixations) for view in asked.values()) > 20
