"""What an emulated phone plays in these tests."""

import resource
from pathlib import Path

import pytest

from devices.emulator.programmes.drawn import draw_test_card


@pytest.fixture(scope="session")
def card():
    return draw_test_card(seconds=2.0, width=320, height=240, key_frame_spacing=6)


@pytest.fixture
def resident():
    """Asks for the resident memory of this process, in bytes."""

    def ask():
        with Path("/proc/self/statm").open() as file:
            return int(file.read().split()[1]) * resource.getpagesize()

    return ask
