"""Encoding ahead has a brake: it changes how much is encoded, never an answer."""

import time

import pytest
from loop_runner import CHOICE, RealTimeDevice, run_loop
from stand_in import MS, SECOND, START, ListedDevice, stream

from devices.clock import SimulatedClock
from runtime.answers.listeners import Seen
from runtime.answers.questions import Question
from runtime.answers.watcher import Watcher
from runtime.model.brake import ANSWERING, BUSY, RATE, Brake
from runtime.run.command_line import parse_arguments
from runtime.run.work import EncoderQueue, QuestionWork
from runtime.stream.frame_timeline import FramePair
from runtime.stream.gaze_timeline import GazeView
from runtime.stream.steps import StepPlan

ASKED = [(CHOICE, 700 * MS), (CHOICE, 1990 * MS), (CHOICE, 3100 * MS)]
TICK = 5 * MS


def plan(newer_at):
    pair = FramePair(None, None, newer_at - 500 * MS, newer_at)
    return StepPlan(None, newer_at, pair, GazeView((), None, True))


def encoded_in(seconds, rate, cost):
    """How many pairs are encoded whose frames come at 30 Hz, and why the others are not.

    Counted here by an encoder that takes what the brake lets through at once, tick by tick.
    """
    clock, brake, count, causes = SimulatedClock(START), Brake(rate), 0, []
    newest = None
    while clock.now() < START + seconds * SECOND:
        frame = (clock.now() - START) * 30 // SECOND
        if frame != newest:
            causes.append(brake.cause(clock.now()))
            newest, offered = frame, plan(START + frame)
        if offered is not None and brake.lets_through(offered, None, clock.now()):
            with brake.encoding(offered.pair.key, clock):
                clock.sleep_until(clock.now() + cost)
            count, offered = count + 1, None
        clock.sleep_until(clock.now() + TICK)
    return count, causes


@pytest.mark.parametrize(("rate", "cost"), [(10, 0), (10, 20 * MS), (3, 90 * MS), (7, 1 * MS)])
def test_a_rate_that_is_asked_for_is_kept(rate, cost):
    count, causes = encoded_in(10, rate, cost)
    assert 0.95 * 10 * rate <= count <= 10 * rate + 1
    assert set(causes) <= {None, RATE}


@pytest.mark.parametrize("cost", [0, 5 * MS, 11 * MS])
def test_without_one_every_frame_is_encoded_where_half_the_time_suffices(cost):
    count, _ = encoded_in(10, None, cost)
    assert count >= 299


@pytest.mark.parametrize("cost", [25 * MS, 70 * MS, 330 * MS])
def test_without_one_the_encoder_rests_half_of_its_time(cost):
    count, _ = encoded_in(20, None, cost)
    assert 0.4 <= count * cost / (20 * SECOND) <= 0.52


def test_new_gaze_on_encoded_frames_is_never_braked():
    clock, brake = SimulatedClock(START), Brake(1.0)
    with brake.encoding(plan(START).pair.key, clock):
        pass
    assert brake.lets_through(plan(START), None, START + MS)
    assert not brake.lets_through(plan(START + MS), None, START + MS)
    # What waits may give way to what is newer, unless it is only new gaze.
    assert brake.lets_through(plan(START + 2 * MS), plan(START + MS), START + MS)
    assert not brake.lets_through(plan(START + 2 * MS), plan(START), START + MS)
    assert brake.lets_through(plan(START + MS), None, START + SECOND)


def test_frames_that_come_while_the_encoder_works_are_not_blamed_on_the_rate():
    clock, brake = SimulatedClock(START), Brake()
    with brake.encoding(plan(START).pair.key, clock):
        assert brake.cause(clock.now()) == BUSY
        clock.sleep_until(START + 100 * MS)
    assert brake.cause(START + 199 * MS) == RATE
    assert brake.cause(START + 200 * MS) is None


def test_nothing_is_encoded_ahead_while_a_question_has_no_answer():
    queue = EncoderQueue()
    queue.offer(plan(START))
    work = QuestionWork(Question("What?"), START, None)
    queue.put(work)
    assert queue.is_answering
    assert queue.take(0.0) is work
    assert queue.take(0.0) is None
    newest = plan(START + MS)
    queue.offer(newest)
    queue.answered()
    assert queue.take(0.0) is newest


def test_a_brake_changes_no_answer_and_every_frame_is_accounted_for(tiny_models, tmp_path):
    samples = stream(4)
    free = run_loop(tiny_models, ListedDevice(samples), tmp_path / "a", ASKED)
    slow = run_loop(tiny_models, ListedDevice(samples), tmp_path / "b", ASKED, rate=5)
    for ours, theirs in zip(slow["answer"], free["answer"], strict=True):
        for name in ("probabilities", "steps", "fixations", "frame_at", "gaze_at"):
            assert ours[name] == theirs[name]
    frames = slow["summary"][0]["frames"]
    # Twenty in four seconds, four steps and three tail steps.
    assert 19 <= frames["used"] <= 28
    assert free["summary"][0]["frames"]["used"] >= 118
    assert frames["dropped"][RATE] >= 90
    assert frames["received"] == frames["used"] + sum(frames["dropped"].values())


def test_threads_keep_to_the_rate_and_pause_for_an_answer(tiny_models, tmp_path, monkeypatch):
    ahead, during = [], []

    def listener(news):
        if isinstance(news, Seen) and not news.counts:
            ahead.append(news.step.plan.pair.newer_at - START)

    ask = Watcher.ask

    def slow_ask(self, *arguments):
        before = len(ahead)
        time.sleep(0.6)  # a long answer
        during.append(len(ahead) - before)
        return ask(self, *arguments)

    monkeypatch.setattr(Watcher, "ask", slow_ask)
    device, asked = RealTimeDevice(stream(3)), [(CHOICE, 1500 * MS)]
    found = run_loop(tiny_models, device, tmp_path / "a", asked, rate=10, listener=listener)
    frames = found["summary"][0]["frames"]
    assert during == [0]
    assert min(ahead) < 1500 * MS < max(ahead)  # before the question, and again after it
    assert len(set(ahead)) <= 31
    assert frames["dropped"][RATE] > 0 and frames["dropped"][ANSWERING] > 0
    assert frames["received"] == frames["used"] + sum(frames["dropped"].values())


@pytest.mark.parametrize(
    "given",
    [
        ["--encode-rate", "0"],
        ["--encode-rate", "nan"],
        ["--encode-rate", "5", "--fast"],
        ["--encode-rate", "5", "--protocol", "released"],
    ],
)
def test_a_rate_that_means_nothing_is_refused(given, capsys):
    with pytest.raises(SystemExit):
        parse_arguments(given)
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert "--encode-rate" in error
