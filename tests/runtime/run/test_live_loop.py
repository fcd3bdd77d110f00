"""The live loop: nothing lost, nothing late, alerts raised once, the same answers anywhere."""

import threading
import time

import pytest
from loop_runner import CHOICE, OPTIONS, RealTimeDevice, SlowEncoder, run_loop
from played_session import answers
from stand_in import MS, SECOND, START, ListedDevice, stream

from runtime.answers.alerts import AlertRule, StandingAlert
from runtime.model.brake import BUSY, RATE
from runtime.run.accounts.frame_ledger import FrameLedger
from runtime.run.accounts.stage_times import StageTimes

ASKED = [(CHOICE, 700 * MS), (CHOICE, 1990 * MS), (CHOICE, 2000 * MS), (CHOICE, 3100 * MS)]


def exact(records):
    names = ("asked_at", "probabilities", "steps", "fixations", "frame_at", "gaze_at")
    return [{name: record[name] for name in names} for record in records]


def test_threads_in_real_time_answer_as_one_thread_on_a_simulated_clock(
    tiny_models, tmp_path, monkeypatch
):
    monkeypatch.setattr("runtime.run.work.MOST_STEPS", 99)  # however busy this machine is
    samples = stream(4, delay=20 * MS)
    simulated = run_loop(tiny_models, ListedDevice(samples), tmp_path / "a", ASKED, eager=False)
    threaded = run_loop(tiny_models, RealTimeDevice(samples), tmp_path / "b", ASKED)
    assert len(simulated["answer"]) == len(ASKED)
    assert exact(threaded["answer"]) == exact(simulated["answer"])


@pytest.mark.parametrize("delay", [3 * MS, 130 * MS])
def test_how_late_samples_arrive_changes_no_answer(tiny_models, tmp_path, delay):
    """A question rests on what was captured by its moment, and on nothing captured after it."""
    prompt = run_loop(tiny_models, ListedDevice(stream(4)), tmp_path / "a", ASKED, eager=False)
    device = ListedDevice(stream(4, delay=delay))
    late = run_loop(tiny_models, device, tmp_path / "b", ASKED, eager=False)
    assert len(late["answer"]) == len(ASKED)
    assert exact(late["answer"]) == exact(prompt["answer"])
    for record in late["answer"]:
        assert record["frame_age_ms"] <= 34 and record["gaze_age_ms"] <= 5
        assert record["stages_ms"]["delivery"] >= delay / 4 / MS
        assert record["ttft_ms"] > record["stages_ms"]["delivery"]


def test_the_loop_answers_as_the_session_that_evaluation_runs(tiny_models, tmp_path):
    samples = stream(4)
    live = run_loop(tiny_models, ListedDevice(samples), tmp_path / "a", ASKED)
    offline = answers(tiny_models, samples, [moment for _, moment in ASKED], OPTIONS)
    for ours, theirs in zip(live["answer"], offline, strict=True):
        assert ours["probabilities"] == theirs.probabilities
        assert ours["steps"] == list(theirs.steps)
        assert len(ours["fixations"]) == len(theirs.fixations)


@pytest.mark.parametrize("device", [ListedDevice, RealTimeDevice])
def test_a_listener_that_fails_ends_no_run_and_costs_no_record(tiny_models, tmp_path, device):
    def failing(news):
        raise RuntimeError("nobody listens")

    asked, samples = ASKED[:2], stream(2.5)
    alone = run_loop(tiny_models, device(samples), tmp_path / "a", asked, eager=False)
    beside = run_loop(
        tiny_models, device(samples), tmp_path / "b", asked, eager=False, listener=failing
    )
    assert exact(beside["answer"]) == exact(alone["answer"])
    assert len(beside["answer"]) == len(asked)
    assert beside["summary"][0]["frames"] == alone["summary"][0]["frames"]


def test_every_sample_is_accounted_for(tiny_models, tmp_path):
    found = run_loop(tiny_models, ListedDevice(stream(5)), tmp_path / "a", ASKED)
    (summary,) = found["summary"]
    for noun, count in (("frames", 150), ("gaze", 1000)):
        fact = summary[noun]
        assert fact["received"] == count
        assert fact["received"] == fact["used"] + sum(fact["dropped"].values())
    assert len(found["second"]) == 5
    assert found["second"][3]["frames"]["received"] == pytest.approx(90, abs=2)


def test_an_overloaded_machine_drops_frames_and_never_lags(tiny_models, tmp_path):
    cost = 330 * MS  # ten times a frame interval
    device = ListedDevice(stream(8))
    found = run_loop(tiny_models, device, tmp_path / "a", cost=cost, rate=30)  # it never rests
    (summary,) = found["summary"]
    frames = summary["frames"]
    assert frames["received"] == 240
    assert 8 * SECOND // cost - 3 <= frames["used"] <= 8 * SECOND // cost + 2
    assert frames["dropped"]["encoder busy"] >= 200
    assert frames["received"] == frames["used"] + sum(frames["dropped"].values())


def test_an_alert_is_raised_once_until_it_is_released():
    alert = StandingAlert("Tell me", AlertRule(threshold=0.6, release=0.3, interval=2.0))
    chances = [0.1, 0.7, 0.8, 0.5, 0.7, 0.2, 0.9, 0.1, 0.9, 0.9]
    raised = [alert.judge(chance, index * SECOND) for index, chance in enumerate(chances)]
    # Raised at 1, released at 5, raised at 6, released at 7, raised again 2 s after the last.
    assert raised == [False, True, False, False, False, False, True, False, True, False]


def test_an_alert_keeps_its_distance():
    alert = StandingAlert("Tell me", AlertRule(threshold=0.6, release=0.3, interval=5.0))
    chances = [0.9, 0.1, 0.9, 0.9, 0.9, 0.9]
    raised = [alert.judge(chance, index * SECOND) for index, chance in enumerate(chances)]
    assert raised == [True, False, False, False, False, True]


def test_alerts_are_judged_at_every_step_and_when_a_fixation_is_confirmed(tiny_models, tmp_path):
    class Listening(StandingAlert):
        def __init__(self):
            super().__init__("Tell me when I look at the cup.", AlertRule())
            self.judged = []

        def judge(self, probability, moment):
            self.judged.append((moment - START) / SECOND)
            return len(self.judged) == 4

    alert = Listening()
    found = run_loop(tiny_models, ListedDevice(stream(3)), tmp_path / "a", alerts=[alert])
    steps = [moment for moment in alert.judged if moment in (0.0, 1.0, 2.0)]
    assert steps == [0.0, 1.0, 2.0]
    # Gaze jumps every 0.6 s; an open fixation counts from 0.1 s on.
    between = [moment for moment in alert.judged if moment not in steps]
    assert len(between) == 5
    for moment, jump in zip(between, (0.0, 0.6, 1.2, 1.8, 2.4), strict=True):
        assert 0.1 <= moment - jump <= 0.15
    (record,) = found["alert"]
    assert record["question"].startswith("Tell me when I look at the cup.")
    assert record["set_off_by"]["start"] < record["raised_at"]
    assert record["since_fixation_ms"] >= 100
    assert 0 <= record["since_frame_ms"] <= 40


def test_before_the_first_frame_it_says_so(tiny_models, tmp_path):
    samples = [s for s in stream(2) if s.captured_at >= START + SECOND]
    device = ListedDevice(samples)
    found = run_loop(tiny_models, device, tmp_path / "a", [(CHOICE, 500 * MS)])
    (record,) = found["answer"]
    assert record["answer"] is None
    assert "no scene frame" in record["note"]


def test_stopping_leaves_complete_records_and_no_thread(tiny_models, tmp_path):
    before = threading.active_count()
    began = time.monotonic()
    found = run_loop(
        tiny_models,
        RealTimeDevice(stream(30)),
        tmp_path / "a",
        [(CHOICE, 500 * MS), (CHOICE, 25 * SECOND)],
        stopped=lambda: time.monotonic() - began > 2.0,
    )
    assert time.monotonic() - began < 6.0
    assert threading.active_count() == before
    (summary,) = found["summary"]
    assert summary["answers"] == len(found["answer"]) == 1


def test_a_failing_stage_ends_the_run_with_its_error(tiny_models, tmp_path):
    class Failing(RealTimeDevice):
        def connect(self):
            info = super().connect()
            SlowEncoder.clock = None
            return info

    def broken(self, pair, watch):
        raise ValueError("the encoder broke")

    original, SlowEncoder._encode = SlowEncoder._encode, broken
    try:
        with pytest.raises(ValueError, match="the encoder broke"):
            run_loop(tiny_models, Failing(stream(5)), tmp_path / "a")
    finally:
        SlowEncoder._encode = original


def test_a_frame_dropped_and_then_wanted_is_counted_once():
    ledger = FrameLedger()
    for at, cause in ((1, BUSY), (2, RATE), (3, RATE)):
        ledger.arrive(at, cause)
    ledger.encode(3)
    assert (ledger.encoded, ledger.dropped) == (1, {BUSY: 1, RATE: 1})
    ledger.encode(2)
    ledger.encode(2)
    assert (ledger.encoded, ledger.dropped) == (2, {BUSY: 1, RATE: 0})
    ledger.arrive(4, BUSY)
    ledger.close()
    assert ledger.encoded + sum(ledger.dropped.values()) == 4


def test_a_frame_is_passed_over_for_the_last_cause_that_kept_it():
    ledger = FrameLedger()
    for at in (1, 2, 3):
        ledger.arrive(at, RATE)
    ledger.blame(2, BUSY)  # it was let through, and the encoder had no time
    ledger.blame(7, BUSY)
    ledger.encode(3)
    assert (ledger.encoded, ledger.dropped) == (1, {RATE: 1, BUSY: 1})


def test_percentiles_of_a_known_series():
    times = StageTimes()
    for milliseconds in range(1, 1001):
        times.add({"decode": float(milliseconds)})
    found = times.percentiles()["decode"]
    assert found.count == 1000
    assert found.p50 == pytest.approx(500, rel=0.01)
    assert found.p95 == pytest.approx(950, rel=0.01)
    assert found.p99 == pytest.approx(990, rel=0.01)
    assert found.max == 1000
