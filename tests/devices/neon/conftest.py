"""What an emulated phone plays in these tests."""

import pytest

from devices.emulator.programmes.drawn import draw_test_card


@pytest.fixture(scope="session")
def card():
    return draw_test_card(seconds=2.0, width=320, height=240, key_frame_spacing=6)
