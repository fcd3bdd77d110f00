"""A Pupil Capture that plays, a device that is connected to it, and what it delivers."""

import time
from contextlib import contextmanager

from devices.core.device import CoreDevice
from devices.emulator.capture import PupilCapture


@contextmanager
def connected(**options):
    with PupilCapture(**options) as capture:
        device = CoreDevice("127.0.0.1", capture.port)
        with device:
            yield capture, device


def collect(device, seconds, found=None, notices=None):
    found = [] if found is None else found
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        delivery = device.poll()
        found += delivery.samples
        if notices is not None:
            notices += delivery.notices
        time.sleep(0.002)
    return found
