"""Questions typed while the stream runs are asked at the moment of their line."""

import io
import time

from stand_in import MS, SECOND, START, stream

from devices.clock import SimulatedClock
from devices.device import Delivery
from runtime.answers.questions import Question
from runtime.run.capture import Capture, DueQuestion
from runtime.run.typed import read_questions
from runtime.run.work import QuestionWork
from runtime.stream.fixation_rules import VelocityRule
from runtime.stream.frame_timeline import FrameTimeline
from runtime.stream.gaze_timeline import GazeTimeline
from runtime.stream.steps import StepPlanner


def capture_of(asked=()):
    gaze = GazeTimeline(VelocityRule(160, 120), 0.1, 0.25)
    planner = StepPlanner(FrameTimeline(84, 112, 2.0), gaze, 2.0)
    return Capture(planner, asked, glances=False)


def taken(capture, samples, now):
    delivery = Delivery(tuple(s for s in samples if s.captured_at <= now), now, now)
    return [work for work in capture.take_in(delivery, now) if isinstance(work, QuestionWork)]


def test_lines_become_questions_and_blank_ones_do_not(monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("What is it?\n\n  \nAnd that?\n"))
    capture, clock = capture_of(), SimulatedClock(START + 300 * MS)
    read_questions(capture, clock)
    deadline, found = time.monotonic() + 5, []
    while len(found) < 2 and time.monotonic() < deadline:
        found += taken(capture, stream(1), START + SECOND)
    assert [work.question.text for work in found] == ["What is it?", "And that?"]


def test_a_question_whose_line_took_long_is_asked_now():
    """What was decided before it came stays as it is."""
    capture, samples = capture_of(), stream(2)
    assert taken(capture, samples, START + 1500 * MS) == []
    capture.ask(DueQuestion(Question("Late?"), START + 200 * MS))
    capture.ask(DueQuestion(Question("Later?"), START + 1700 * MS))
    assert not capture.is_idle
    (late,) = taken(capture, [], START + 1600 * MS)
    assert late.moment == START + 1500 * MS
    assert late.tail.pair.newer_at == START + 1500 * MS
    (later,) = taken(capture, [], START + 1800 * MS)
    assert later.moment == START + 1700 * MS
    assert capture.is_idle


def test_several_at_one_moment_keep_their_order():
    asked = [DueQuestion(Question(text), START + 500 * MS) for text in ("a", "b", "c")]
    found = taken(capture_of(asked), stream(1), START + SECOND)
    assert [work.question.text for work in found] == ["a", "b", "c"]
