"""Percentiles of durations within one percent, in memory that does not grow with them."""

import sys

import numpy as np
import pytest

from runtime.run.accounts.stage_times import StageTimes


@pytest.mark.parametrize("spread", [0.1, 3.0])
def test_percentiles_are_those_of_all_durations_within_a_percent(spread):
    durations = np.random.default_rng(5).lognormal(2.0, spread, 5_000)
    times = StageTimes()
    for each in durations:
        times.add({"vision": float(each), "other": 1.0})
    found = times.percentiles()["vision"]
    assert found.count == 5_000 and found.max == durations.max()
    for share, told in ((0.5, found.p50), (0.95, found.p95), (0.99, found.p99)):
        exact = np.sort(durations)[int(np.ceil(share * 5_000)) - 1]
        assert told == pytest.approx(exact, rel=0.011)


@pytest.mark.parametrize("duration", [0.0, 1e-9, 1e12])
def test_what_no_bucket_is_for_counts_all_the_same(duration):
    times = StageTimes()
    times.add({"vision": duration})
    found = times.percentiles()["vision"]
    assert found.count == 1 and found.max == duration


def test_a_stage_takes_what_it_took_at_first():
    times = StageTimes()
    times.add({"vision": 1.0})
    before = sys.getallocatedblocks()
    for milliseconds in np.geomspace(0.01, 1e6, 5_000):
        times.add({"vision": float(milliseconds)})
    assert sys.getallocatedblocks() - before < 100
