"""Spoken and typed, live and offline, played again: the same answers."""

import pytest
from loop_runner import OPTIONS
from scripted_speech import START as SPEECH_START
from scripted_speech import Scripted, pieces, wave
from stand_in import MS, SECOND, START, ListedDevice, stream

from devices.clock import SystemClock
from devices.samples import Sound
from devices.session.device import SessionDevice
from devices.session.writer import SessionWriter
from runtime.answers.alerts import StandingAlerts
from runtime.answers.heard import HeardRecord, Standing
from runtime.answers.listeners import Listeners
from runtime.answers.questions import Question
from runtime.answers.record import AnswerRecord, Conditions, SummaryRecord
from runtime.answers.session import gaze_timeline, step_planner
from runtime.answers.watcher import Watcher
from runtime.model.encoder import Encoder
from runtime.run.capture import Capture, DueQuestion
from runtime.run.live_loop import LiveLoop, Stages
from runtime.run.reports import Reporter
from runtime.run.saving import asked_before
from runtime.voice.conversation import Conversation, VoiceOptions

SENTENCES = ["What is this?", "Is it a cup, a knife or a plate?", "How are you?"]
SPOKEN = [(0, 0.8, 1.7), (2, 2.6, 3.2), (1, 4.3, 5.9)]
UNDERSTOOD = 1200 * MS  # so long after it was said a question was understood
EXACT = ("question", "options", "answer", "probabilities", "asked_at", "steps", "fixations", "note")


class RealTime(ListedDevice):
    def connect(self):
        info = super().connect()
        self.clock = SystemClock(START)
        return info


def samples():
    assert START == SPEECH_START
    return [*stream(8, seed=4), *pieces(wave(SPOKEN, 8.0))]


class Counting(ListedDevice):
    """Counts its sound, too."""

    def counts(self):
        from dataclasses import replace

        from devices.device import StreamCounts

        seen = sum(isinstance(sample, Sound) for sample in self._samples[: self._next])
        return replace(super().counts(), sound=StreamCounts(seen, seen))


class CountingRealTime(Counting, RealTime):
    pass


def run(models, device, listens=True, typed=(), saving=None):
    """All records of a run; `typed`: (wish, moment)."""
    manifest = models.bundle.manifest
    grid = manifest.settings.live_height, manifest.settings.live_width
    records, listeners = [], Listeners()
    listeners.subscribe("test", records.append)
    with device as info:
        talk = Conversation(
            VoiceOptions(listens=listens), True, device.clock, listeners, Scripted(SENTENCES)
        )
        gaze = gaze_timeline(OPTIONS, manifest.settings, info)
        capture = Capture(
            step_planner(models, OPTIONS, gaze),
            [DueQuestion(wish, moment) for wish, moment in typed],
            False,
            lambda sample: asked_before(sample, listens),
            saving or (lambda due: None),
            talk.ears,
            may_stand=True,
        )
        watcher = Watcher(models, grid, OPTIONS.window_steps)
        conditions = Conditions("causal", "test", "test")
        heard = talk.ears.counts if listens else None
        reporter = Reporter(listeners, conditions, device.counts, gaze, heard)
        stages = Stages(capture, Encoder(models, grid, use_gaze=True), watcher)
        LiveLoop(
            device, stages, StandingAlerts(), conditions, reporter, stays=True, brake=None
        ).run()
        device.disconnect()
        talk.close()
        reporter.close()
    return records


def answers(records):
    return [
        {name: getattr(record, name) for name in EXACT}
        for record in records
        if type(record) is AnswerRecord
    ]


@pytest.fixture(scope="module")
def spoken(tiny_models):
    return run(tiny_models, Counting(samples()))


def test_a_spoken_question_is_answered_as_a_typed_one_at_the_moment_the_speech_ended(
    tiny_models, spoken
):
    found = answers(spoken)
    assert [record["question"] for record in found] == [SENTENCES[0], SENTENCES[1]]
    assert found[1]["options"] == ("a cup", "a knife", "a plate")
    for record, ended in zip(found, (1.7, 5.9), strict=True):
        assert abs(record["asked_at"] - START - round(ended * SECOND)) <= 30 * MS
    typed = [(Question(r["question"], r["options"]), r["asked_at"]) for r in found]
    assert answers(run(tiny_models, Counting(samples()), listens=False, typed=typed)) == found


@pytest.mark.long
def test_live_and_offline_are_alike(tiny_models, spoken, monkeypatch):
    monkeypatch.setattr("runtime.run.work.MOST_STEPS", 99)  # however busy this machine is
    monkeypatch.setattr("runtime.voice.ears.LONGEST_HOLD", 60 * SECOND)
    assert answers(run(tiny_models, CountingRealTime(samples()))) == answers(spoken)


def test_the_record_says_what_was_heard_and_what_was_fixated_at_a_pointing_word(spoken):
    heard = [record for record in spoken if isinstance(record, HeardRecord)]
    assert [(record.text, record.taken_as) for record in heard] == [
        (SENTENCES[0], "question"),
        (SENTENCES[2], "nothing"),
        (SENTENCES[1], "question"),
    ]
    first = next(record for record in spoken if type(record) is AnswerRecord)
    (pointed,) = first.heard.pointed_at
    assert pointed.word == "this" and first.heard.began_at < pointed.at < first.heard.ended_at
    gaze = [
        sample
        for sample in samples()
        if not isinstance(sample, Sound)
        and hasattr(sample, "x")
        and pointed.start <= sample.captured_at <= pointed.at
    ]
    assert gaze and abs(pointed.x - sum(s.x for s in gaze) / len(gaze)) < 0.01
    summary = spoken[-1]
    assert isinstance(summary, SummaryRecord)
    fact = summary.sound
    assert fact.received == fact.used + sum(fact.dropped.values()) > 60


def test_a_session_asks_again_what_was_heard_and_hears_it_again_where_that_is_asked(
    tiny_models, spoken, tmp_path
):
    device = Counting(samples())
    with device as info:
        writer = SessionWriter(tmp_path / "s", info, START, patient=True)
        waiting = answers(spoken)
        while True:
            delivery, now = device.poll(), device.clock.now()
            while waiting and waiting[0]["asked_at"] + UNDERSTOOD <= now:
                due = waiting.pop(0)
                writer.asked(due["asked_at"], due["question"], due["options"], None, "spoken")
            writer.delivered(delivery, now)
            if delivery.ended:
                break
            device.clock.sleep_until(now + 5 * MS)
    assert writer.close().trouble is None
    again = run(tiny_models, SessionDevice(tmp_path / "s", fast=True), listens=False)
    assert answers(again) == answers(spoken)
    anew = run(tiny_models, SessionDevice(tmp_path / "s", fast=True, sound=True))
    assert answers(anew) == answers(spoken)


def test_a_spoken_request_stands_from_its_moment_on_until_it_is_taken_back(tiny_models):
    judged = []

    class Watching(Watcher):
        def ask(self, questions, tail, watch):
            judged.append([question.text for question in questions])
            return super().ask(questions, tail, watch)

    request = "Tell me when I look at the knife."
    wishes = [
        (Standing(request), START + 2 * SECOND),
        (Standing("Stop telling me about the cup.", False), START + 3 * SECOND),
        (Standing("Stop telling me about the knife.", False), START + 5 * SECOND),
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(f"{__name__}.Watcher", Watching)
        run(tiny_models, Counting(samples()), listens=False, typed=wishes)
    assert judged and all(request in texts[0] and len(texts) == 1 for texts in judged)
    assert 3 <= len(judged) < 20
