"""A test card played by an emulated phone, and what a device makes of it."""

import time
from contextlib import contextmanager
from itertools import pairwise

import numpy as np

from devices.emulator.emulator import Emulator
from devices.emulator.faults import parse_faults
from devices.emulator.phone import Settings
from devices.emulator.programmes.truth import Truth
from devices.neon.device import NeonDevice
from devices.samples import GazeSample, SceneFrame

MS = 1_000_000
QUICK = Settings(report_delay=0.05, report_interval=0.5)
TOLERANCE = 5 * MS


class Watch:
    """Polls a device and checks what must always hold: exact frames, times that never go back."""

    def __init__(self, emulator, device):
        self.emulator, self.device = emulator, device
        self.truth = Truth(emulator.programme, emulator.started_at)
        self.frames, self.gaze, self.others = [], [], []
        self.notices = []
        self.until = {SceneFrame: 0, GazeSample: 0}

    def run(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.poll()
            time.sleep(0.002)
        return self

    def wait(self, condition, timeout=6.0):
        end = time.monotonic() + timeout
        while not condition():
            assert time.monotonic() < end, self.notices
            self.poll()
            time.sleep(0.002)
        return self.emulator.elapsed()

    def poll(self):
        delivery = self.device.poll()
        self.notices += [(self.emulator.elapsed(), line) for line in delivery.notices]
        reached = {SceneFrame: delivery.frames_until, GazeSample: delivery.gaze_until}
        for sample in delivery.samples:
            kind = type(sample)
            if kind in reached:
                assert self.until[kind] < sample.captured_at <= reached[kind]
                self.until[kind] = sample.captured_at
            if kind is SceneFrame:
                index, error = self.truth.picture_at(sample.captured_at)
                assert np.array_equal(sample.pixels, self.truth.frames[index])
                self.frames.append((self.emulator.elapsed(), index, error, sample))
            elif kind is GazeSample:
                index, error = self.truth.gaze_at(sample.captured_at)
                self.gaze.append((self.emulator.elapsed(), index, error, sample))
            else:
                self.others.append(sample)
        for kind, moment in reached.items():
            assert moment >= self.until[kind]
            self.until[kind] = moment

    def said(self, text):
        return [moment for moment, line in self.notices if text in line]

    def steps(self, samples, count):
        """How many places each sample lies after the one before, in rounds of `count`."""
        places = [index for _, index, _, _ in samples]
        return [(b - a) % count for a, b in pairwise(places)]


@contextmanager
def playing(programme, faults="", transport="udp", **options):
    options.setdefault("settings", QUICK)
    with Emulator(programme, parse_faults(faults), **options) as emulator:
        device = NeonDevice(f"{emulator.address}:{emulator.port}", transport=transport)
        with device:
            yield Watch(emulator, device)


def times_are_right(samples):
    return all(abs(error) < TOLERANCE for _, _, error, _ in samples)


def counts_add_up(device, stream="frames"):
    """All that is received was delivered, dropped, or waits for the decoder or the next poll."""
    counts = getattr(device.counts(), stream)
    return 0 <= counts.received - counts.delivered - sum(counts.dropped.values()) <= 8
