"""Latencies dated from when samples were due, and the rate at which steps begin to be dropped."""

import json

import pytest

from benchmarks.end_to_end.__main__ import drops_sheet, knee_line, latency_sheet, main, sweep
from benchmarks.end_to_end.load import Load, run_load
from benchmarks.end_to_end.moments import (
    Encoded,
    Injected,
    ages_at_injection,
    capture_to_residual,
    due_frames,
)
from benchmarks.instruments.simulated import FRAME_RATE, START, SimulatedModels
from devices.clock import NANOSECONDS, SimulatedClock
from runtime.bundle.opening import Bundle
from runtime.run.command_line import MINI

MS = 1_000_000
COST = NANOSECONDS // 4  # of a pair of frames, so that 4 steps per second are the most
STALL = 2 * NANOSECONDS


class StallingModels(SimulatedModels):
    """One pair of frames takes STALL longer."""

    stalls_after = None

    def visual(self, pair):
        if self.stalls_after is not None and self._clock.now() >= self.stalls_after:
            self.stalls_after = None
            self._clock.sleep_until(self._clock.now() + STALL)
        return super().visual(pair)


@pytest.fixture(scope="module")
def bundle():
    return Bundle.open(MINI)


def outcome(bundle, rate, cost=COST, ahead=False, stalls_after=None, asked=(3.0, 6.0)):
    clock = SimulatedClock(START)
    models = StallingModels(bundle, clock, cost)
    models.stalls_after = stalls_after
    load = Load(rate, 10.0, 6, asked, (160, 120), ahead)
    return run_load(models, load, clock)


def test_a_frame_waits_for_residuals_of_it_or_of_a_newer_one():
    encoded = [Encoded(50 * MS, 30 * MS), Encoded(90 * MS, 60 * MS), Encoded(95 * MS, 10 * MS)]
    frames = [0, 20 * MS, 40 * MS, 60 * MS, 70 * MS]
    waited = capture_to_residual(frames, encoded, 100 * MS)
    assert waited == [50.0, 30.0, 50.0, 30.0, 30.0]


def test_ages_are_those_at_the_injection():
    frames, gaze = ages_at_injection([Injected(9 * MS, 2 * MS, 5 * MS), Injected(9 * MS, 1, None)])
    assert frames == [7.0, pytest.approx(9.0, abs=1e-5)] and gaze == [4.0]


def test_frames_are_due_at_the_sensor_s_rate_whatever_is_done_with_them():
    assert due_frames(5, 5 + NANOSECONDS, 4) == [5 + n * NANOSECONDS // 4 for n in range(4)]


def test_a_stall_counts_against_every_frame_that_waited_for_its_end(bundle):
    """Of a quarter of a second per pair, all the time: no frame waits for more than three pairs
    but those that come in the stall, and each of these waits for the rest of it."""
    smooth = outcome(bundle, 2.0, ahead=True)
    stalled = outcome(bundle, 2.0, ahead=True, stalls_after=START + 5 * NANOSECONDS)
    most = max(smooth.to_residual)
    assert len(smooth.to_residual) == len(stalled.to_residual) == 10 * FRAME_RATE
    late = sum(ms > most for ms in stalled.to_residual)
    assert late >= (STALL / MS - most) / 1000 * FRAME_RATE
    assert max(stalled.to_residual) >= STALL / MS
    encoded_late = sum(ms > most for ms in stalled.frame_age)
    assert encoded_late < late / 4  # as only those that are encoded would say


def test_times_of_answers_are_of_the_injected_clock(bundle):
    found = outcome(bundle, 1.0, cost=COST)
    assert len(found.question_to_token) == 2
    for asked, captured in zip(found.question_to_token, found.capture_to_token, strict=True):
        assert COST / MS <= asked < 4 * COST / MS
        assert asked <= captured < asked + 1000 / FRAME_RATE + 1


@pytest.mark.parametrize("cost", [COST, COST // 2])
def test_the_knee_is_where_encoding_takes_all_the_time(bundle, cost):
    """Nothing else costs time here: of pairs that take `cost` no more fit into a second."""
    most = NANOSECONDS / cost
    outcomes = list(sweep(lambda rate: outcome(bundle, rate, cost, asked=()), 0.5))
    held = max(each.load.rate for each in outcomes if each.is_sustained)
    lost = min(each.load.rate for each in outcomes if not each.is_sustained)
    assert 0.75 * most < held <= 1.05 * most and held < lost < 1.3 * held
    assert knee_line(outcomes) == f"the knee is between {held:.3g} and {lost:.3g} steps per second"


def test_what_is_dropped_is_told_by_its_cause(bundle):
    found = outcome(bundle, 8.0, asked=())
    assert not found.is_sustained and found.drops["steps: encoder behind"] > 20
    table = drops_sheet([found])
    dropped = dict(zip(table.columns, table.rows[0], strict=True))
    assert dropped["steps: encoder behind"] + dropped["steps in contexts"] == pytest.approx(
        80, abs=2
    )
    told = sum(count for cause, count in found.drops.items() if cause.startswith("frames"))
    assert dropped["frames encoded"] + told == dropped["frames due"] == 10 * FRAME_RATE + 1


def test_a_rate_that_nothing_stops_has_no_knee(bundle):
    outcomes = list(sweep(lambda rate: outcome(bundle, rate, cost=0, asked=()), 2.0, highest=4.0))
    assert [each.load.rate for each in outcomes] == [2.0, 4.0]
    assert knee_line(outcomes) == "4 steps per second are sustained: no knee up to there"
    rows = {row[0]: row[1:] for row in latency_sheet(outcomes).rows}
    assert rows["4 steps/s: question to first token"] == (0, None, None, None, None)


@pytest.mark.long
@pytest.mark.realtime
def test_the_command_sweeps_the_real_models(tmp_path, monkeypatch):
    monkeypatch.setattr("benchmarks.end_to_end.__main__.HIGHEST", 2.0)
    monkeypatch.setattr("benchmarks.end_to_end.__main__.SIZE", (160, 120))
    file = tmp_path / "end_to_end.json"
    short = ["--seconds", "2", "--lowest", "2", "--question-every", "1", "--threads", "1"]
    assert main([*short, "--json", str(file)]) == 0
    (found, *_) = json.loads(file.read_text())["details"]["rates"]
    assert len(found["to_residual"]) == 2 * FRAME_RATE
    assert all(ms > 0 for ms in found["frame_age"] + found["question_to_token"])
