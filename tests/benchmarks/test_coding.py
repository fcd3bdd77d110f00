"""The figures of gaze coding: whom they are of, and how they are counted."""

import hashlib
import statistics

import pytest

from benchmarks.coding.__main__ import FIRST_SEED, Coded, score
from benchmarks.coding.cost import main as cost
from benchmarks.coding.diary import SPELL, HeldBack, Waits, ratio_of
from devices.clock import SimulatedClock
from runtime.errors import RuntimeFault


def test_nobody_chose_the_seeds_that_are_held_out():
    digest = hashlib.sha256(b"gazeqwen-edge gaze coding hold-out").digest()
    assert int.from_bytes(digest[:4], "big") == FIRST_SEED


def test_what_is_unsure_counts_neither_as_right_nor_as_wrong():
    pairs = [("cup", "cup")] * 6 + [("key", "cup")] + [("key", "key")] * 2 + [("cup", "")]
    found = score([Coded(*pair) for pair in pairs], 2.0)
    assert (found.fixations, found.coded) == (10, 9)
    assert found.right == pytest.approx(8 / 9)
    assert found.unsure == pytest.approx(1 / 10)
    chance = (6 / 9) * (7 / 9) + (3 / 9) * (2 / 9)
    assert found.kappa == pytest.approx((8 / 9 - chance) / (1 - chance))


def test_a_question_is_compared_with_its_neighbour():
    waits = [Waits(10.0, 11.0), Waits(100.0, 90.0), Waits(50.0, 60.0)]
    ratio, low, high = ratio_of(waits)
    assert ratio == pytest.approx(statistics.median([1.1, 0.9, 1.2]))
    assert low == pytest.approx(0.9) and high == pytest.approx(1.2)
    with pytest.raises(RuntimeFault, match="watch longer"):
        ratio_of([])


class Busy:
    """A diary that always has something to do."""

    def __init__(self):
        self.offered = []

    def offer(self, step):
        self.offered.append(step)

    def work(self):
        return True


def test_a_diary_is_held_back_in_every_second_spell():
    clock, keeper = SimulatedClock(0), Busy()
    held = HeldBack(keeper, clock, 0)
    worked = []
    for number in range(6):
        clock.sleep_until(number * SPELL + SPELL // 2)
        held.offer(number)
        worked.append(held.work())
    assert worked == [False, True] * 3
    assert keeper.offered == [1, 3, 5]


@pytest.mark.parametrize("together", [True, False])
def test_coding_is_set_beside_asking_in_two_ways(capsys, together):
    more = [] if together else ["--together", "no"]
    assert cost(["--seconds", "3", "--rounds", "1", "--asked", "1", *more]) in (0, 1)
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    ways = ["coded", "asked, one run for each"] + ["asked, all in one run"] * together
    assert [line.split("|")[1].strip() for line in lines[2:]] == ways
    rates = [float(line.split("|")[2]) for line in lines[2:]]
    assert all(rate > 0 for rate in rates)
