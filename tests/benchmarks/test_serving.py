"""The benchmark of watching a run: paired ratios, and the command."""

import subprocess
import sys

import pytest

from benchmarks.serving import medians_sheet, ratio


def test_the_ratio_is_that_of_the_middle_pair():
    pairs = [
        ({"ttft_ms": [2.0, 4.0, 90.0]}, {"ttft_ms": [2.0]}),
        ({"ttft_ms": [30.0]}, {"ttft_ms": [10.0, 10.0, 1.0]}),
        ({"ttft_ms": [5.0]}, {"ttft_ms": [5.0]}),
    ]
    assert ratio(pairs, "ttft_ms") == pytest.approx(2.0)


def test_the_table_tells_how_many_answers_it_rests_on():
    turn = {"ttft_ms": [1.0, 3.0], "frame_age_ms": [7.0]}
    table = medians_sheet([(turn, turn), (turn, {**turn, "ttft_ms": [9.0]})])
    assert [row[3] for row in table.rows] == ["2 + 2", "4 + 3"]
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
