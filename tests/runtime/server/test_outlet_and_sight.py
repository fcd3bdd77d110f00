"""What waits for a client is bounded; gaze on a frame is that of the frame's moment."""

import asyncio
from types import SimpleNamespace

import numpy as np
import pytest

from devices.device import Delivery
from devices.samples import GazeSample, SceneFrame
from runtime.answers.listeners import Seen
from runtime.server.outlet import Outlet
from runtime.server.sight import Sights, gaze_between
from runtime.server.steps import gaze_strength

MILLISECOND = 1_000_000


def test_a_client_that_reads_nothing_keeps_the_newest_only():
    async def fill():
        outlet = Outlet(most=3)
        for number in range(10):
            outlet.put(b"%d" % number)
            outlet.show(b"picture %d" % number)
        return outlet.dropped, await outlet.take()

    assert asyncio.run(fill()) == (7 + 9, ([b"7", b"8", b"9"], b"picture 9"))


def gaze(milliseconds, x, worn=True):
    at = milliseconds * MILLISECOND
    return GazeSample(at, at, x, 0.5, worn)


@pytest.mark.parametrize(
    ("before", "after", "x"),
    [
        (gaze(0, 0.2), gaze(10, 0.4), 0.25),
        (gaze(0, 0.2), None, 0.2),
        (gaze(0, 0.2), gaze(10, 0.4, worn=False), 0.2),
        (gaze(0, 0.2, worn=False), gaze(10, 0.4), None),
        (gaze(-200, 0.2), None, None),
    ],
)
def test_gaze_of_a_moment_between_two_samples(before, after, x):
    found = gaze_between(before, after, int(2.5 * MILLISECOND))
    assert (found and found[0]) == (pytest.approx(x) if x is not None else None)


def test_a_frame_that_comes_behind_gaze_has_the_gaze_and_the_trail_of_its_own_moment():
    shown = []
    sights = Sights(lambda at: None, lambda: True, shown.append)
    for at in range(0, 10_000, 5):
        sample = gaze(at, at / 10_000)
        sights.delivered(Delivery((sample,), 0, sample.captured_at), sample.arrived_at)
    at, now = 9_051 * MILLISECOND, 9_995 * MILLISECOND
    frame = SceneFrame(at, now, 0, np.zeros((2, 2, 3), np.uint8))
    sights.delivered(Delivery((frame,), at, now), now)
    (sight,) = shown
    assert sight.gaze[0] == pytest.approx(0.9051)
    assert sight.gaze_at == 9_050 * MILLISECOND
    begin, end = sight.trail[0][0], sight.trail[-1][0]
    assert (begin, end) == (pytest.approx(0.7555), pytest.approx(0.905, abs=0.003))


def test_what_gaze_did_to_a_token_is_the_length_of_what_its_first_residual_changed():
    unlooked = np.arange(12, dtype=np.float32).reshape(2, 3, 2)
    residuals = np.zeros((2, 3, 2), np.float32)
    residuals[0, 1] = 3, -4
    residuals[0, 2] = 0.6, 0.8
    residuals[1, :] = 7, 7  # a later one tells every token
    step = SimpleNamespace(residuals=unlooked + residuals)
    assert gaze_strength(Seen(step, True, unlooked)) == pytest.approx([0, 5, 1], abs=1e-5)
    assert gaze_strength(Seen(step, True)) is None
