"""The status line: rates since the second before, ages, drops."""

import io
from dataclasses import replace
from pathlib import Path

import pytest

from devices.parser import complain
from runtime.answers.record import AnswerRecord, SecondRecord, StreamFact, alert_record
from runtime.run.command_line import parse_arguments
from runtime.run.console import Screen, status_text
from runtime.terminal import Paper, SafeConsole

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


HOSTILE = "a\x1b[2J\x1b]0;title\x07b\r\nerror: forged [bold]c[/] :smile: \x9b31m\u202ed \\"
SHOWN = "error: forged [bold]c[/] :smile:"


def hostile_record():
    nothing = StreamFact(0, 0, {HOSTILE: 1})
    return AnswerRecord(
        question=HOSTILE,
        options=(HOSTILE, "b"),
        answer="A",
        probabilities={"A": 0.7, "B": 0.3},
        truth="B",
        asked_at=1,
        **dict.fromkeys(("frame_at", "gaze_at", "frame_age_ms", "gaze_age_ms", "context_start")),
        fixations=(),
        steps=(),
        ttft_ms=1.0,
        stages_ms={},
        frames=nothing,
        gaze=nothing,
        protocol="causal",
        bundle=HOSTILE,
        engine=HOSTILE,
        note=HOSTILE,
    )


def test_nothing_from_outside_is_more_than_text_in_its_line():
    printed = io.StringIO()
    screen = Screen(SafeConsole(printed))
    record = hostile_record()
    screen.answer(record)
    screen.alert(alert_record(HOSTILE, record, 2, 1, None))
    screen.notice(HOSTILE)
    screen.answer(replace(record, truth=HOSTILE, options=()))
    lines = printed.getvalue().split("\n")
    assert len(lines) == 3 + 1 + 3 + 1 + 4 + 1
    for line in lines:
        assert line.isprintable()
    for line in (lines[0], lines[1], lines[3], lines[4], lines[7]):
        assert SHOWN in line


def test_what_a_model_says_is_harmless_and_keeps_its_line_feeds():
    printed = io.StringIO()
    screen = Screen(SafeConsole(printed))
    for piece in ("one \x1b", "[2J", "[red]", "\n two\r", "\x07 \ud800"):
        screen.text(piece)
    assert printed.getvalue() == "> one \ufffd[2J[red]\n two \ufffd"


def test_a_complaint_is_one_harmless_line(capsys):
    complain(HOSTILE)
    with pytest.raises(SystemExit):
        parse_arguments(["--seconds", HOSTILE])
    for line in capsys.readouterr().err.splitlines():
        assert line.startswith("error: ") and line.isprintable()


def test_a_paper_that_is_full_takes_everything_and_says_why():
    with Path("/dev/full").open("w") as full:
        paper = Paper(full)
        for _ in range(3):
            paper.write("x" * 10_000)
            paper.flush()
        assert "No space" in paper.trouble.strerror
    assert Paper(None).write("x") == 1
