"""Fifteen seconds of the run of which `hostile_run.py --seconds 600` is the long one."""

import pytest
from hostile_run import run

pytestmark = pytest.mark.realtime


def test_lies_end_no_run_and_leave_right_answers_in_the_quiet_moments(tmp_path, capfd):
    outcome = run(15.0, seed=7, folder=tmp_path)
    assert not list(outcome.complaints())
    assert outcome.asked >= 3 and outcome.lies >= 2
    assert outcome.summary["frames"]["received"] > 100
    assert "Traceback" not in capfd.readouterr().err
