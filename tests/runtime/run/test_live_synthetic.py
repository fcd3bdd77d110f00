"""`python -m runtime.live` on the synthetic wearer: the run of someone who gives no arguments."""

import json

import pytest

from devices.clock import NANOSECONDS, SimulatedClock
from devices.samples import KnownQuestion
from devices.synthetic.device import SyntheticDevice
from runtime.live import main


@pytest.fixture(scope="module")
def run(tiny_folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("synthetic") / "out.jsonl"
    status = main(["--bundle", str(tiny_folder), "--fast", "--record", str(out)])
    records = [json.loads(line) for line in out.read_text().splitlines()]
    return status, records


def of_kind(run, kind):
    return [record for record in run[1] if record["kind"] == kind]


def test_it_lasts_thirty_seconds_and_ends_with_its_summary(run):
    status, records = run
    assert status == 0
    assert records[-1]["kind"] == "summary"
    lasted = (records[-1]["ended_at"] - records[-1]["started_at"]) / NANOSECONDS
    assert 29.5 <= lasted <= 30.5
    assert len(of_kind(run, "second")) >= 30


def test_every_answer_lies_beside_its_truth_and_says_how_old_its_gaze_is(run):
    answers = of_kind(run, "answer")
    assert len(answers) >= 5
    for answer in answers:
        assert answer["truth"] in ("A", "B", "C", "D")
        assert 0 <= answer["frame_age_ms"] <= 34
        assert 0 <= answer["gaze_age_ms"] <= 5
    assert run[1][-1]["known"] == len(answers)
    right = sum(answer["truth"] == answer["answer"] for answer in answers)
    assert run[1][-1]["right"] == right


def test_the_truth_of_its_alert_is_what_the_wearer_looked_at(run):
    device = SyntheticDevice(0, 30.0, SimulatedClock(0))
    device.connect()
    first = of_kind(run, "second")[0]["at"]
    known = device.known_alert
    for alert in of_kind(run, "alert"):
        assert alert["alert"] == known.text
        looked_at = device.looked_at(alert["asked_at"] - first)
        assert alert["truth"] == ("A" if looked_at == known.target else "B")


@pytest.mark.parametrize("seed", range(20))
def test_every_wearer_asks_five_questions_in_thirty_seconds(seed):
    clock = SimulatedClock(0)
    device = SyntheticDevice(seed, 30.0, clock)
    with device:
        clock.sleep_until(30 * NANOSECONDS)
        asked = [each for each in device.poll().samples if isinstance(each, KnownQuestion)]
        assert len(asked) >= 5
        assert device.known_alert.text == f"Tell me when I look at the {device.known_alert.target}."


def test_another_alert_takes_the_place_of_the_wearers_own(tiny_folder, tmp_path):
    out = tmp_path / "out.jsonl"
    options = ["--fast", "--seconds", "8", "--alert-threshold", "0", "--alert-release", "0"]
    options += ["--alert", "Tell me when I look at the moon.", "--record", str(out)]
    assert main(["--bundle", str(tiny_folder), *options]) == 0
    records = [json.loads(line) for line in out.read_text().splitlines()]
    alerts = [record for record in records if record["kind"] == "alert"]
    assert {alert["alert"] for alert in alerts} == {"Tell me when I look at the moon."}
    assert {alert["truth"] for alert in alerts} == {None}


@pytest.mark.parametrize("seconds", ["0", "-1", "nan", "soon"])
def test_a_length_that_is_none_is_refused(seconds, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["--seconds", seconds])
    assert stopped.value.code == 2
    assert "--seconds" in capsys.readouterr().err
