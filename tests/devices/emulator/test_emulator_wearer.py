"""The synthetic wearer as the emulator's programme."""

import numpy as np
import pytest

from devices.clock import SimulatedClock
from devices.emulator.programmes.drawn import draw_wearer
from devices.emulator.programmes.truth import Truth
from devices.neon import wire
from devices.samples import Blink, GazeSample, SceneFrame
from devices.synthetic.device import SyntheticDevice

SECONDS = 4.0


@pytest.fixture(scope="module")
def seen():
    """What the device itself delivers with the same seed."""
    clock = SimulatedClock(0)
    device = SyntheticDevice(5, SECONDS, clock, question_every=None)
    device.connect()
    samples = []
    for _ in range(round(SECONDS * 100) - 1):
        samples += device.poll().samples
        clock.sleep_until(clock.now() + 10_000_000)
    return samples


def test_the_programme_is_what_the_wearer_sees(seen):
    programme = draw_wearer(5, SECONDS)
    frames = [s for s in seen if isinstance(s, SceneFrame)]
    gaze = [s for s in seen if isinstance(s, GazeSample)]
    assert [p.at for p in programme.pictures[: len(frames)]] == [f.captured_at for f in frames]
    assert len(programme.pictures) == 120 and len(frames) > 115
    size = programme.width, programme.height
    for point, sample in zip(programme.gaze, gaze, strict=False):
        assert point.at == sample.captured_at
        assert (point.x / size[0], point.y / size[1]) == pytest.approx((sample.x, sample.y))
    decoded = Truth(programme, 0).frames
    assert len(decoded) == 120
    for frame, pixels in list(zip(frames, decoded, strict=False))[::20]:
        assert pixels.shape == frame.pixels.shape
        assert np.abs(pixels.astype(int) - frame.pixels).mean() < 8
    blinks = [s for s in seen if isinstance(s, Blink)]
    sent = [event for event in programme.events if event.kind == wire.BLINK]
    assert [(e.started, e.ended) for e in sent[: len(blinks)]] == [
        (b.started_at, b.ended_at) for b in blinks
    ]


def test_another_seed_is_another_wearer():
    one, other = (draw_wearer(seed, 0.5) for seed in (1, 2))
    assert one == draw_wearer(1, 0.5) != other
