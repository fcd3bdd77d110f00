"""An answer says what was missing at its moment; a question that fails does not end the run."""

import io
from dataclasses import replace

import pytest
from loop_runner import CHOICE, RealTimeDevice, run_loop
from rich.console import Console
from stand_in import MS, SECOND, START, ListedDevice, stream

from devices.samples import GazeSample, SceneFrame
from runtime.answers.questions import Question
from runtime.run.console import Screen


def frames_until(samples, seconds):
    return [
        s
        for s in samples
        if not isinstance(s, SceneFrame) or s.captured_at <= START + seconds * SECOND
    ]


def gaze_until(samples, seconds):
    return [
        s
        for s in samples
        if not isinstance(s, GazeSample) or s.captured_at <= START + seconds * SECOND
    ]


def closed_from(samples, seconds):
    return [
        replace(s, worn=False)
        if isinstance(s, GazeSample) and s.captured_at >= START + seconds * SECOND
        else s
        for s in samples
    ]


def asked_at(models, samples, moment, out):
    device = ListedDevice(samples)
    found = run_loop(models, device, out, [(CHOICE, moment)], eager=False)
    (record,) = found["answer"]
    return record


def test_an_ordinary_answer_has_no_remark(tiny_models, tmp_path):
    record = asked_at(tiny_models, stream(3), 2300 * MS, tmp_path / "a")
    assert record["note"] is None
    assert record["fixations"][-1]["step"] == len(record["steps"]) - 1


def test_gaze_past_its_limit_counts_as_none_and_is_told(tiny_models, tmp_path):
    record = asked_at(tiny_models, gaze_until(stream(3), 1), 2600 * MS, tmp_path / "a")
    assert record["answer"] in "ABC"
    assert record["note"] == "gaze has stalled: the newest was 1.60 s old, answered without it"
    assert record["gaze_age_ms"] == 1600
    assert max(fixation["step"] for fixation in record["fixations"]) < len(record["steps"]) - 2


def test_gaze_just_within_its_limit_counts(tiny_models, tmp_path):
    record = asked_at(tiny_models, gaze_until(stream(3), 2.3), 2540 * MS, tmp_path / "a")
    assert record["note"] is None
    assert record["gaze_age_ms"] == 240
    assert record["fixations"][-1]["step"] == len(record["steps"]) - 1


def test_no_gaze_at_all(tiny_models, tmp_path):
    record = asked_at(tiny_models, gaze_until(stream(3), -1), 2600 * MS, tmp_path / "a")
    assert record["answer"] in "ABC"
    assert record["note"] == "no gaze has arrived yet: answered without it"
    assert record["gaze_at"] is None and record["gaze_age_ms"] is None
    assert record["fixations"] == []


@pytest.mark.parametrize(("closed", "said"), [(2.45, "0.15 s"), (1.0, "1.60 s")])
def test_eyes_closed(tiny_models, tmp_path, closed, said):
    record = asked_at(tiny_models, closed_from(stream(3), closed), 2600 * MS, tmp_path / "a")
    assert record["answer"] in "ABC"
    assert record["note"] == f"eyes closed or glasses off for {said}: answered without gaze"
    assert all(fixation["start"] < START + closed * SECOND for fixation in record["fixations"])
    assert record["fixations"] == [] or record["fixations"][-1]["step"] < len(record["steps"]) - 1


def test_a_stalled_scene(tiny_models, tmp_path):
    record = asked_at(tiny_models, frames_until(stream(4), 2), 3200 * MS, tmp_path / "a")
    assert record["answer"] in "ABC"
    assert record["note"] == "the scene has stalled: its newest frame was 1.20 s old"
    assert record["frame_age_ms"] == 1200


def test_both_streams_stalled(tiny_models, tmp_path):
    samples = gaze_until(frames_until(stream(4), 2), 2)
    record = asked_at(tiny_models, samples, 3200 * MS, tmp_path / "a")
    assert record["note"] == (
        "the scene has stalled: its newest frame was 1.20 s old; "
        "gaze has stalled: the newest was 1.20 s old, answered without it"
    )


def test_during_start_up(tiny_models, tmp_path):
    record = asked_at(tiny_models, stream(3), 300 * MS, tmp_path / "a")
    assert record["answer"] in "ABC"
    assert record["note"] == "the stream began only 0.30 s before the question"


def test_before_the_first_frame(tiny_models, tmp_path):
    samples = [s for s in stream(2) if s.captured_at >= START + SECOND]
    record = asked_at(tiny_models, samples, 500 * MS, tmp_path / "a")
    assert record["answer"] is None and record["ttft_ms"] is None
    assert record["note"] == "no scene frame has arrived yet"


@pytest.mark.parametrize("kind", [ListedDevice, RealTimeDevice])
def test_a_run_whose_time_is_up_answers_what_was_asked_by_then(tiny_models, tmp_path, kind):
    device = kind(stream(3, delay=60 * MS))

    def is_over():
        return device.clock.now() >= START + SECOND

    asked = [(CHOICE, 500 * MS), (CHOICE, SECOND)]
    found = run_loop(tiny_models, device, tmp_path / "a", asked, over=is_over)
    assert [record["asked_at"] - START for record in found["answer"]] == [500 * MS, SECOND]
    assert all(record["answer"] in "ABC" for record in found["answer"])
    (summary,) = found["summary"]
    assert START + SECOND <= summary["ended_at"] <= START + 2 * SECOND


def test_a_question_given_up_is_recorded_as_such(tiny_models, tmp_path):
    device = RealTimeDevice(stream(20))
    asked = [(CHOICE, 500 * MS), (CHOICE, 600 * MS), (CHOICE, 15 * SECOND)]
    found = run_loop(
        tiny_models,
        device,
        tmp_path / "a",
        asked,
        cost=1200 * MS,
        stopped=lambda: device.clock.now() > START + 900 * MS,
    )
    assert [record["answer"] for record in found["answer"]] == [None, None]
    for record in found["answer"]:
        assert record["note"].startswith("the run was ended before the answer was complete")


@pytest.mark.parametrize("kind", [ListedDevice, RealTimeDevice])
def test_a_question_that_cannot_be_asked_ends_nothing(tiny_models, tmp_path, kind):
    asked = [(Question("word " * 2000), 700 * MS), (CHOICE, 1500 * MS)]
    found = run_loop(tiny_models, kind(stream(2)), tmp_path / "a", asked)
    refused, answered = found["answer"]
    assert refused["answer"] is None
    assert "ask a shorter question" in refused["note"]
    assert answered["answer"] in "ABC"
    (summary,) = found["summary"]
    assert summary["answers"] == 2


def test_the_console_says_it(tiny_models, tmp_path):
    from runtime.answers.session import Session, SessionOptions

    samples = closed_from(stream(3), 1.0)
    device = ListedDevice(samples)
    with device as info:
        options = SessionOptions(rule="adaptive", window=8.0, rate=2.0)
        session = Session(tiny_models, info, options, device.counts)
        device.clock.sleep_until(START + 3 * SECOND)
        session.receive(device.poll(), device.clock.now())
        session.advance(START + 2 * SECOND)
        record = session.ask(CHOICE, START + 2 * SECOND)
    printed = io.StringIO()
    Screen(Console(file=printed)).answer(record)
    assert "eyes closed or glasses off for 1.00 s" in printed.getvalue()
