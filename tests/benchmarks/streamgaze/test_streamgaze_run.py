"""Runs on drawn data sets: the protocols against isolated sessions, gaze, bad data, options."""

from dataclasses import replace

import numpy as np
import pytest
from drawn_streamgaze import choice, draw_set, library, results

from benchmarks.streamgaze.asking.causal import clips_of, frames_needed
from benchmarks.streamgaze.asking.evaluation import Way, evaluate
from benchmarks.streamgaze.data.dataset import Selection, read_tasks
from benchmarks.streamgaze.data.media import shuffled
from devices.clock import NANOSECONDS
from devices.recording.playback import RecordingDevice
from devices.recording.video import FrameReader
from devices.samples import Fixation
from runtime.answers.session import Session, SessionOptions
from runtime.run.released import ReleasedSession
from runtime.stream.sampling import sampling_rate

SCENE = "past_scene_recall"


CAUSAL, RELEASED = Way("causal", use_gaze=True), Way("released", use_gaze=True)


def facts(result):
    """What an answer rests on, and the answer."""
    return (
        result.response,
        result.probabilities,
        result.asked_at,
        result.frame_at,
        result.steps,
        [(f.x, f.y, f.start, f.end, f.step) for f in result.fixations],
    )


def record_facts(record, words):
    return (
        words.get(record.answer, record.answer),
        record.probabilities,
        record.asked_at,
        record.frame_at,
        record.steps,
        [(f.x, f.y, f.start, f.end, f.step) for f in record.fixations],
    )


def played(models, drawn, question):
    """One question put to a live session, the recording played from its first frame."""
    path = drawn.root / "videos" / "original_video" / question.key.video
    device = RecordingDevice(path, fast=True, fixations=[drawn.fixations])
    with device as info:
        window = question.window
        opens_at = info.starts_at + round(window.start * NANOSECONDS)
        moment = info.starts_at + round(window.end * NANOSECONDS)
        options = SessionOptions("file", window.seconds + 60, sampling_rate(window.seconds))
        session = Session(models, info, options, device.counts, opens_at=opens_at)
        while device.clock.now() < moment:
            device.clock.sleep_until(min(device.clock.now() + NANOSECONDS // 3, moment))
            session.receive(device.poll(), device.clock.now())
            session.advance(device.clock.now())
        return session.ask(question.asked(), moment)


def test_causal_answers_are_those_of_a_live_session(tiny_models, mixed, asked):
    found = {result.key: result for result in asked(CAUSAL)}
    questions = [q for file in read_tasks(mixed.root, Selection()) for q in file.questions]
    assert len(found) == len(questions) == 19
    for question in questions[::2]:
        words = {"A": "Yes", "B": "No"} if question.is_alert else {}
        record = played(tiny_models, mixed, question)
        assert facts(found[question.key]) == record_facts(record, words)


def test_a_window_of_the_last_minute_has_steps_from_its_start(asked):
    answered = asked(CAUSAL)
    last = next(r for r in answered if r.key.time == "01:07" and r.key.task.startswith("present"))
    seconds = [(step - last.video_start) / NANOSECONDS for step in last.steps]
    assert seconds == [7.0 + 4 * step for step in range(16)]
    past = next(r for r in answered if r.key.time == "01:10" and r.key.task == SCENE)
    seconds = [(step - past.video_start) / NANOSECONDS for step in past.steps]
    assert seconds == [10.0 * step for step in range(8)]
    past = next(r for r in answered if r.key.time == "01:08" and r.key.task == SCENE)
    assert (past.steps[-1] - past.video_start) / NANOSECONDS == 68.0  # a tail step


BLIND = replace(CAUSAL, use_gaze=False)


@pytest.mark.parametrize(
    "way",
    [
        pytest.param(CAUSAL, id="causal"),
        pytest.param(RELEASED, id="released", marks=pytest.mark.long),
        pytest.param(BLIND, id="no gaze", marks=pytest.mark.long),
    ],
)
def test_sharing_changes_nothing(tiny_models, mixed, asked, way):
    gaze = "yes" if way.use_gaze else "none"
    shared = asked(way, gaze)
    alone = {r.key: r for r in results(tiny_models, mixed, replace(way, isolated=True), gaze)}
    assert len(shared) == len(alone) == 19
    for result in shared:
        assert facts(result) == facts(alone[result.key])


def test_released_answers_are_those_of_a_released_session(tiny_models, mixed, asked):
    found = {result.key: result for result in asked(RELEASED)}
    for file in read_tasks(mixed.root, Selection(limit=2)):
        for question in file.questions:
            path = mixed.root / "videos" / "original_video" / question.key.video
            device = RecordingDevice(path, fast=True, fixations=[mixed.fixations])
            with device as info:
                moment = info.starts_at + round(question.window.end * NANOSECONDS)
                recording = device.description
                options = SessionOptions("file", question.window.seconds, 1.0)
                read = FrameReader(recording.video).frames
                session = ReleasedSession(
                    tiny_models, recording.frame_times, read, info, options, device.counts
                )
                device.clock.sleep_until(moment)
                session.receive(device.poll())
                session.advance(moment)
                record = session.ask(question.asked(), moment)
            words = {"A": "Yes", "B": "No"} if question.is_alert else {}
            assert facts(found[question.key]) == record_facts(record, words)


def test_released_alerts_choose_among_four_letters_and_only_two_are_words(asked):
    for result in asked(RELEASED):
        assert set(result.probabilities) == set("ABCD")
        if result.is_alert:
            best = max(result.probabilities, key=result.probabilities.get)
            assert result.response == {"A": "Yes", "B": "No"}.get(best, best)
            assert result.correct is (result.expected in result.response.upper())


def test_frames_needed_are_those_that_a_full_playback_uses():
    times = np.arange(0, 100 * NANOSECONDS, NANOSECONDS // 8)
    # A step every 4 s from 3 s on, each with the frame 2 s before; the question at 12.6 s.
    wanted = {3, 1, 7, 5, 11, 9}
    needed = frames_needed(times, 3 * NANOSECONDS, 0.5, round(12.6 * NANOSECONDS))
    assert set(needed) == {second * 8 for second in wanted} | {100, 84}


def test_questions_share_a_clip_only_where_start_and_rate_agree(mixed):
    first = [
        question
        for file in read_tasks(mixed.root, Selection())
        for question in file.questions
        if question.key.video == "first.mp4"
    ]
    clips = [
        (clip.start, clip.rate, [question.window.end for question in clip.questions])
        for clip in clips_of(first)
    ]
    assert clips == [
        (0.0, 1.0, [10.0, 20.0]),
        (0.0, 0.5, [44.0]),
        (0.0, 0.2, [68.0, 70.0]),
        (2.0, 0.5, [62.0]),
        (6.0, 0.5, [66.0, 66.0]),
        (7.0, 0.5, [67.0]),
        (10.0, 0.5, [70.0]),
    ]


def test_gaze_none_and_shuffled(asked):
    gazed, moved, blind = asked(CAUSAL), asked(CAUSAL, "shuffled"), asked(BLIND, "none")
    assert not any(result.fixations for result in blind)
    for one, other in zip(gazed, moved, strict=True):
        spans = [[(f.start, f.end, f.step) for f in r.fixations] for r in (one, other)]
        assert spans[0] == spans[1]
    places = [[[(f.x, f.y) for f in r.fixations] for r in run] for run in (gazed, moved)]
    assert places[0] != places[1]
    chances = [[r.probabilities for r in run] for run in (gazed, moved, blind)]
    assert chances[0] != chances[1] != chances[2] != chances[0]


@pytest.mark.parametrize("count", [2, 3, 7, 40])
def test_shuffling_moves_every_fixation_and_loses_none(count):
    own = tuple(
        Fixation(n, n, n / count, 1 - n / count, n, n + 1, "file", True) for n in range(count)
    )
    moved = shuffled(own, "name")
    assert sorted((f.x, f.y) for f in moved) == sorted((f.x, f.y) for f in own)
    assert all(a.x != b.x for a, b in zip(own, moved, strict=True))
    assert [(f.started_at, f.ended_at) for f in moved] == [(f.started_at, f.ended_at) for f in own]
    assert shuffled(own, "name") == moved
    assert shuffled(own[:1], "name")[0].x == 1 - own[0].x


def test_asking_later_brings_in_the_fixation_that_begins_after_the_stamp(tiny_models, tmp_path):
    drawn = draw_set(
        tmp_path / "set",
        {"clip": 8},
        {SCENE: [("clip", [choice(6)])]},
        {"clip": [(0.2, 0.2, 1.0, 3.5), (0.7, 0.6, 6.3, 7.9)]},
    )
    for later, active in ((0.0, []), (0.25, []), (0.5, [0.7])):
        (result,) = results(tiny_models, drawn, Way("causal", True, ask_after=later))
        tail = len(result.steps) - 1
        assert [f.x for f in result.fixations if f.step == tail] == active
        assert result.asked_at - result.video_start == (6 + later) * NANOSECONDS


def test_limit_tasks_and_an_order_that_the_done_do_not_change(tiny_models, mixed, asked):
    files = read_tasks(mixed.root, Selection(limit=2))
    assert [len(file.questions) for file in files] == [2, 2, 2]
    whole = asked(CAUSAL)
    done = frozenset(result.key for result in whole[::3])
    files = read_tasks(mixed.root, Selection())
    rest = list(evaluate(tiny_models, library(mixed), files, CAUSAL, done))
    assert [facts(r) for r in rest] == [facts(r) for r in whole if r.key not in done]
