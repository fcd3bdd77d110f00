"""A long run through every fault, sped up: nothing false is delivered, and the counts add up."""

import threading
import time

import numpy as np
import pytest

from devices.emulator.emulator import Emulator
from devices.emulator.faults import soak_plan
from devices.emulator.phone import SpedUpClock
from devices.emulator.programmes.drawn import draw_test_card
from devices.emulator.programmes.truth import Truth
from devices.neon.device import NeonDevice
from devices.samples import GazeSample, SceneFrame

pytest.importorskip("pupil_labs.realtime_api")

pytestmark = [pytest.mark.realtime, pytest.mark.long]

SPEED = 15.0
SECONDS = 120.0


def test_a_sped_up_soak_survives_every_fault():
    card = draw_test_card(seconds=4.0, key_frame_spacing=6)
    clock = SpedUpClock(SPEED)
    received = {SceneFrame: 0, GazeSample: 0}
    last = {SceneFrame: 0, GazeSample: 0}
    with Emulator(card, soak_plan(seed=1, seconds=SECONDS), seed=1, clock=clock) as emulator:
        truth = Truth(card, emulator.started_at)
        device = NeonDevice(f"{emulator.address}:{emulator.port}", clock=clock)
        with device:
            while emulator.elapsed() < SECONDS:
                for sample in device.poll().samples:
                    kind = type(sample)
                    if kind not in received:
                        continue
                    assert sample.captured_at > last[kind]
                    last[kind] = sample.captured_at
                    received[kind] += 1
                    if kind is SceneFrame:
                        index, _ = truth.picture_at(sample.captured_at)
                        assert np.array_equal(sample.pixels, truth.frames[index])
                time.sleep(0.001)
            threads = threading.active_count()
    counts = device.counts()
    assert received[SceneFrame] > 0.3 * 30 * SECONDS
    assert received[GazeSample] > 0.5 * 200 * SECONDS
    for kind, stream in ((SceneFrame, counts.frames), (GazeSample, counts.gaze)):
        assert stream.delivered == received[kind]
        assert stream.received == stream.delivered + sum(stream.dropped.values())
    assert threads < 12
    assert emulator.clock.now() - last[SceneFrame] < 15e9
