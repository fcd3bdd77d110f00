"""Ten minutes of a misbehaving phone through the whole live loop, sped up: its counts add up."""

import threading

import pytest
from loop_runner import CHOICE, run_loop
from stand_in import SECOND

from devices.emulator.emulator import Emulator
from devices.emulator.faults import soak_plan
from devices.emulator.phone import SpedUpClock
from devices.emulator.programmes.drawn import draw_test_card
from devices.neon.device import NeonDevice

pytest.importorskip("pupil_labs.realtime_api")

pytestmark = [pytest.mark.realtime, pytest.mark.long]

SPEED = 6.0
SECONDS = 600.0
RESOLVER = "_run_safe_shutdown_loop"  # pycares, below aiohttp: one for the process


def thread_names():
    return {thread.name for thread in threading.enumerate()}


def test_the_live_loop_survives_every_fault(tiny_models, tmp_path):
    threads = thread_names()
    card = draw_test_card(seconds=4.0, key_frame_spacing=6)
    clock = SpedUpClock(SPEED)
    with Emulator(card, soak_plan(seed=2, seconds=SECONDS), seed=2, clock=clock) as emulator:
        began = clock.now()
        asked = [(CHOICE, began + second * SECOND) for second in range(10, int(SECONDS) - 10, 15)]
        found = run_loop(
            tiny_models,
            NeonDevice(f"{emulator.address}:{emulator.port}", clock=clock),
            tmp_path / "soak.jsonl",
            asked,
            stopped=lambda: emulator.elapsed() >= SECONDS,
            start=0,
        )
    (summary,) = found["summary"]
    for noun, least in (("frames", 0.3 * 30 * SECONDS), ("gaze", 0.5 * 200 * SECONDS)):
        fact = summary[noun]
        assert fact["received"] > least
        assert fact["received"] == fact["used"] + sum(fact["dropped"].values())
    assert summary["steps"] > 0.5 * SECONDS
    assert len(found["answer"]) == len(asked)
    for record in found["answer"]:
        assert record["answer"] is not None or record["note"]
        assert record["frame_at"] is None or record["frame_at"] <= record["asked_at"]
        assert record["gaze_at"] is None or record["gaze_at"] <= record["asked_at"]
    assert not {name for name in thread_names() - threads if RESOLVER not in name}
