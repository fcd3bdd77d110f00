"""Which work comes first, which gives way, and that no piece of it leaves a trace on the next."""

import threading
from types import SimpleNamespace

import numpy as np
from loop_runner import CHOICE, run_loop
from stand_in import MS, SECOND, START, ListedDevice, stream

from devices.device import Delivery
from runtime.answers.alerts import AlertRule, StandingAlert
from runtime.answers.heard import Heard, Said
from runtime.model.brake import Brake
from runtime.model.encoder import Encoder
from runtime.model.models import Scene
from runtime.run.capture import Capture, DueQuestion
from runtime.run.live_loop import LiveLoop, Stages
from runtime.run.work import EncoderQueue, GlanceWork, QuestionWork, StandingWork, StepWork
from runtime.stopwatch import Stopwatch
from runtime.stream.fixation_rules import VelocityRule
from runtime.stream.frame_timeline import FramePair, FrameTimeline
from runtime.stream.gaze_timeline import GazeTimeline, GazeView
from runtime.stream.steps import StepPlan, StepPlanner


def plan_of(moment):
    older, newer = (np.full((84, 112, 3), grey, np.uint8) for grey in (1, 2))
    return StepPlan(None, moment, FramePair(older, newer, moment - 1, moment), GazeView())


def test_of_too_many_steps_the_oldest_gives_way():
    queue = EncoderQueue()
    steps = [StepWork(plan_of(at)) for at in range(1, 5)]
    for step in steps:
        queue.put(step)
    assert queue.dropped_steps == 2
    assert [queue.take(0.0), queue.take(0.0), queue.take(0.0)] == [*steps[2:], None]


def test_of_what_is_newest_only_the_newest_is_seen():
    queue = EncoderQueue()
    older, newer = plan_of(1), plan_of(2)
    queue.offer(older)
    queue.offer(newer)
    assert queue.take(0.0) is newer and queue.take(0.0) is None


def test_what_is_newest_waits_for_a_question_and_for_nothing_else():
    queue, newest = EncoderQueue(), plan_of(1)
    work = [StandingWork(None, 1), QuestionWork(CHOICE, 1, None), StepWork(plan_of(2))]
    for each in work:
        queue.put(each)
    queue.offer(newest)
    assert [queue.take(0.0) for _ in range(4)] == [*work, None]
    queue.answered()
    assert queue.take(0.0) is newest


class Idler:
    """Always has something to do beside, and notes when it was let."""

    def __init__(self, outbox):
        self.outbox, self.turns = outbox, 0

    def work(self):
        self.turns += 1
        if self.turns == 3:
            self.outbox.put("what comes next")
        return True


def test_nothing_is_begun_beside_while_a_question_is_on_its_way_to_the_decoder():
    outside = SimpleNamespace(clock=None, asker=None)
    stages = Stages(None, None, outside)
    loop = LiveLoop(outside, stages, [], None, None, stays=True, brake=Brake())
    idler = Idler(loop._outbox)
    loop._decoding._aside = idler
    assert loop._next_encoded() == "what comes next" and idler.turns == 3
    question = QuestionWork(CHOICE, 1, None)
    loop._inbox.put(question)
    threading.Timer(0.1, loop._outbox.put, [question]).start()
    assert loop._next_encoded() is question and idler.turns == 3
    loop._inbox.answered()
    idler.turns = 0
    assert loop._next_encoded() == "what comes next"


def captured(due):
    gaze = GazeTimeline(VelocityRule(160, 120), 0.1, 0.25)
    planner = StepPlanner(FrameTimeline(84, 112, 2.0), gaze, 2.0)
    capture = Capture(planner, due, glances=True)
    now = START + SECOND
    samples = sorted(stream(1), key=lambda sample: sample.captured_at)
    work = capture.take_in(Delivery(tuple(samples), now, now), now)
    return [each for each in work if isinstance(each, QuestionWork | GlanceWork)]


def test_a_question_goes_before_a_fixation_that_is_confirmed_at_its_moment():
    glance = captured([])[-1]
    work = captured([DueQuestion(CHOICE, glance.moment)])
    both = [type(each) for each in work if each.moment == glance.moment]
    assert both == [QuestionWork, GlanceWork]


class Speech:
    """Lasts for one delivery, in which nothing beyond `decided` is; with the next one it is over,
    and what was `said` is known."""

    is_idle = False

    def __init__(self, decided, *said):
        self.decided, self.said, self.deliveries = decided, list(said), 0

    def hear(self, delivery, now):
        self.deliveries += 1
        return self.said if self.deliveries == 2 else []

    def decided_until(self, now):
        return self.decided if self.deliveries == 1 else now


def asked_while_somebody_speaks(speech, *typed):
    """The questions that come of 1.5 s of a stream whose steps fall every second, from START on."""
    gaze = GazeTimeline(VelocityRule(160, 120), 0.1, 0.25)
    planner = StepPlanner(FrameTimeline(84, 112, 2.0), gaze, 2.0)
    due = [DueQuestion(CHOICE, moment) for moment in typed]
    capture = Capture(planner, due, glances=False, ears=speech)
    samples = sorted(stream(3), key=lambda sample: sample.captured_at)
    told = []
    for now in (START + 1500 * MS, START + 2500 * MS):
        before = tuple(s for s in samples if s.captured_at <= now and s not in told)
        told += before
        work = capture.take_in(Delivery(before, now, now), now)
        yield [each for each in work if isinstance(each, QuestionWork)]


def test_what_is_typed_while_somebody_speaks_is_answered_at_once():
    said = Said(Heard("what is it", START, START + 1300 * MS), CHOICE)
    speech = Speech(START + 1200 * MS, said)
    first, second = asked_while_somebody_speaks(speech, START + 1400 * MS)
    assert [each.moment for each in first] == [START + 1400 * MS]
    alone = next(asked_while_somebody_speaks(Speech(START + 9 * SECOND), START + 1400 * MS))
    assert first[0].tail.pair.key == alone[0].tail.pair.key
    assert first[0].tail.gaze == alone[0].tail.gaze
    # What was said before it, and understood later, is asked at its own moment.
    assert [each.moment for each in second] == [START + 1300 * MS]
    assert second[0].heard.text == "what is it"


def test_what_is_typed_waits_for_speech_where_a_step_falls_in_between():
    speech = Speech(START + 900 * MS)
    first, second = asked_while_somebody_speaks(speech, START + 1400 * MS)
    assert first == []
    assert [each.moment for each in second] == [START + 1400 * MS]


def test_the_video_encoder_sees_the_older_frame_and_then_the_newer_one(tiny_models):
    seen = {}

    class Seeing:
        bundle = tiny_models.bundle

        def visual(self, pair):
            seen["vision"] = pair[:, 0, 0, 0].tolist()
            return np.zeros((12, 8), np.float32)

        def features(self, clip, steps):
            seen["vjepa"] = clip[:, 0, 0, 0].tolist()
            return np.zeros(1, np.float32)

        def scene(self, features, step, steps, grid):
            return Scene({})

        def residuals(self, scene, encoding):
            return np.zeros(1, np.float32)

    Encoder(Seeing(), (3, 4), use_gaze=True).encode(plan_of(5), Stopwatch())
    assert seen == {"vision": [1, 2], "vjepa": [1, 2]}


def test_alerts_that_share_a_context_are_judged_as_each_alone(tiny_models, tmp_path):
    texts = ("Is it a cup?", "Is it a very long knife?")

    class Listening(StandingAlert):
        def __init__(self, text):
            super().__init__(text, AlertRule())
            self.judged = []

        def judge(self, probability, moment):
            self.judged.append((moment, probability))
            return False

    together = [Listening(text) for text in texts]
    run_loop(tiny_models, ListedDevice(stream(1.2)), tmp_path / "a", alerts=together, eager=False)
    for alert, text in zip(together, texts, strict=True):
        alone = Listening(text)
        device = ListedDevice(stream(1.2))
        run_loop(tiny_models, device, tmp_path / text[:9], alerts=[alone], eager=False)
        assert alone.judged == alert.judged and len(alone.judged) >= 3
    assert [chance for _, chance in together[0].judged] != [
        chance for _, chance in together[1].judged
    ]


def test_ages_are_of_the_past_and_so_above_zero(tiny_models, tmp_path):
    asked = [(CHOICE, 1013 * MS)]
    found = run_loop(tiny_models, ListedDevice(stream(1.2)), tmp_path / "a", asked, eager=False)
    (record,) = found["answer"]
    assert record["frame_age_ms"] == 13.0 and record["gaze_age_ms"] == 3.0
    assert record["frame_at"] == START + SECOND and record["gaze_at"] == START + 1010 * MS
