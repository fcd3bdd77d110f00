"""The benchmark of watching a run: paired ratios, and the command."""

import subprocess
import sys

import pytest

from benchmarks.instruments.asked_runs import interval, medians_sheet, ratio


def turn(*values):
    return {"ttft_ms": list(values), "frame_age_ms": [7.0]}


def test_the_ratio_compares_the_medians_of_all_answers():
    pairs = [(turn(2.0, 4.0, 90.0), turn(2.0, 2.0)), (turn(6.0), turn(10.0))]
    assert ratio(pairs, "ttft_ms") == pytest.approx(5.0 / 2.0)


def test_pairs_that_agree_leave_no_doubt_and_pairs_that_do_not_leave_some():
    alike = [(turn(3.0), turn(2.0))] * 9
    assert interval(alike, "ttft_ms") == pytest.approx((1.5, 1.5))
    low, high = interval([*alike, *[(turn(1.0), turn(2.0))] * 9], "ttft_ms")
    assert 0.5 <= low < 1.0 < high <= 1.5


def test_the_table_tells_how_many_answers_it_rests_on():
    table = medians_sheet(
        [(turn(1.0, 3.0), turn(1.0, 3.0)), (turn(1.0, 3.0), turn(9.0))], "watched"
    )
    assert [row[-1] for row in table.rows] == ["2 + 2", "4 + 3"]
    assert [row[1] for row in table.rows] == [7.0, 2.0]


@pytest.mark.realtime
def test_the_command_measures_both():
    ended = subprocess.run(
        [sys.executable, "-m", "benchmarks", "serving", "--pairs", "1", "--turn", "1"],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ended.returncode in (0, 1) and ended.stderr == ""
    assert ended.stdout.count("watched / not") == 2
