"""The plan of faults and what a faulty link does, in simulated time."""

from itertools import pairwise

import pytest

from devices.emulator.__main__ import arguments, main
from devices.emulator.faults import (
    MEANINGS,
    Fault,
    FaultPlan,
    FaultSyntax,
    parse_faults,
    soak_plan,
)
from devices.emulator.link import Link


def test_a_plan_is_read_and_written():
    plan = parse_faults("loss=0.01@5+10, camera-stall@20+2,clock-step=-5@30,off")
    assert plan.faults == (
        Fault("loss", 0.01, 5.0, 10.0),
        Fault("camera-stall", 1.0, 20.0, 2.0),
        Fault("clock-step", -5.0, 30.0),
        Fault("off"),
    )
    assert parse_faults(str(plan)) == plan
    assert parse_faults("") == FaultPlan()


@pytest.mark.parametrize("text", ["los=1", "loss=x", "loss@y", "loss@1+z", "soak:1", "soak:a:b"])
def test_a_plan_that_can_not_be_read_is_one_line(text):
    with pytest.raises(FaultSyntax) as caught:
        parse_faults(text)
    assert "\n" not in str(caught.value)


def test_a_fault_is_active_in_its_window_only():
    plan = parse_faults("loss=0.5@5+10,loss=0.7@8+1,clock-step=5@2,clock-step=-1@3")
    assert [plan.value("loss", t) for t in (4.9, 5.0, 8.5, 9.5, 15.0)] == [0, 0.5, 0.7, 0.5, 0]
    assert [plan.total("clock-step", t) for t in (1, 2, 3)] == [0, 5, 4]
    assert [plan.begun("clock-step", t) for t in (1, 2, 3)] == [0, 1, 2]


def test_a_soak_is_drawn_from_its_seed_and_holds_every_kind_of_fault():
    plan = soak_plan(1, 600.0)
    assert plan == soak_plan(1, 600.0) == parse_faults("soak:1:600")
    assert plan != soak_plan(2, 600.0)
    assert {f.name for f in plan.faults} == set(MEANINGS) - {
        "clock-stamps", "companion", "report-late"
    }  # fmt: skip
    lasting = [f for f in plan.faults if f.start > 0]
    assert min(f.start for f in lasting) >= 5.0
    assert max(f.start + f.seconds for f in lasting) <= 595.0
    for one, other in pairwise(lasting):
        assert one.start + one.seconds < other.start


def carried(plan, seed=3, count=20_000, ordered=False):
    """[(due - sent, packet number or None for garbage)] in order of arrival."""
    link, arrivals = Link(seed, ordered), []
    for number in range(count):
        now, packet = number * 0.001, number.to_bytes(100, "big")
        for due, data in link.carry(packet, now, parse_faults(plan)):
            known = int.from_bytes(data, "big") if len(data) == 100 else None
            arrivals.append((due, known))
    return [known for _, known in sorted(arrivals, key=lambda pair: pair[0])]


def test_without_faults_everything_arrives_in_order():
    assert carried("") == list(range(20_000))


def test_loss_is_as_large_as_asked_for_and_seeded():
    got = carried("loss=0.05")
    assert 0.04 < 1 - len(got) / 20_000 < 0.06
    assert got == carried("loss=0.05") != carried("loss=0.05", seed=4)


def test_bursts_lose_twenty_in_a_row():
    got = carried("burst=0.001")
    gaps = [b - a - 1 for a, b in pairwise(got) if b - a > 1]
    assert gaps and all(gap >= 20 for gap in gaps)


def test_reordering_duplication_and_garbage():
    reordered = carried("reorder=0.05")
    assert sorted(reordered) == list(range(20_000)) != reordered
    assert len(carried("duplicate=0.1")) > 21_500
    assert carried("garbage=0.1").count(None) > 1500


def test_tcp_only_delays():
    every = "loss=0.5,burst=0.5,reorder=0.5,duplicate=0.5,garbage=0.5,jitter=0.01"
    assert carried(every, ordered=True) == list(range(20_000))


def test_the_command_line_refuses_in_one_line(capsys, tmp_path, monkeypatch):
    for line in (["--faults", "los=1"], ["--recording", str(tmp_path)]):
        monkeypatch.setattr("sys.argv", ["emulator", "--port", "0", "--seconds", "1", *line])
        assert main() == 1
        assert capsys.readouterr().err.count("\n") == 1
    assert arguments(["--gaze-size", "65"]).gaze_size == 65
