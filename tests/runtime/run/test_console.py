"""The status line: rates since the second before, ages, drops."""

from dataclasses import replace

from runtime.answers.record import SecondRecord, StreamFact
from runtime.run.console import status_text

SECOND = 1_000_000_000


def second(at, frames, encoded, gaze, **more):
    facts = {
        "frames": StreamFact(frames, encoded, {"encoder busy": frames - encoded}),
        "gaze": StreamFact(gaze, gaze, {}),
    }
    nothing = dict.fromkeys(("frame_at", "gaze_at", "step_at", "gaze_age_ms", "step_age_ms"))
    known = {"at": at, "steps": 4, "steps_dropped": 0, "contexts": 2, "waiting": 0}
    return SecondRecord(**facts, **nothing, **known, frame_age_ms=17.4, **more)


def test_the_status_line_tells_rates_ages_and_drops():
    before, after = second(5 * SECOND, 100, 90, 1000), second(7 * SECOND, 160, 130, 1390)
    assert status_text(after, before) == (
        "30 frames/s (20 encoded), 195 gaze/s, 4 steps in 2 contexts, frame 17 ms old, no gaze, "
        "30 dropped"
    )


def test_the_first_second_has_no_rates():
    record = second(5 * SECOND, 100, 90, 1000)
    assert status_text(record, None).startswith("starting, 4 steps")
    assert status_text(record, replace(record)).startswith("starting, 4 steps")
