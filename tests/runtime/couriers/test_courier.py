"""What a courier does with receivers that are slow, dead or unwilling; no time passes."""

import asyncio

import pytest

from runtime.couriers.courier import MOST_WAITING, PAUSES, Courier, Parcel, Refused, Undelivered


class Receiver:
    """A carrier that does what it is told, attempt by attempt, then succeeds."""

    name = "receiver"

    def __init__(self, *outcomes):
        self.outcomes, self.attempts = list(outcomes), []

    async def open(self):
        pass

    async def carry(self, parcel):
        self.attempts.append(parcel.number)
        outcome = self.outcomes.pop(0) if self.outcomes else None
        if outcome is not None:
            raise outcome

    async def close(self):
        pass


class Never:
    """One that is never reached, not even to be opened."""

    name = "never"

    async def open(self):
        raise Undelivered("nobody there")

    async def carry(self, parcel):
        raise Undelivered("nobody there")

    async def close(self):
        pass


def carried(carrier, numbers, kinds=("alert",), parcels=None):
    """Hand parcels in at once, and wait until nothing waits: courier, pauses, lines."""
    pauses, lines = [], []

    async def sleep(seconds):
        pauses.append(seconds)
        await asyncio.sleep(0)

    async def run():
        courier = Courier(carrier, kinds, lines.append, sleep)
        for number in numbers:
            courier.take(Parcel("alert", b"{}", str(number)))
        for parcel in parcels or ():
            courier.take(parcel)
        task = asyncio.create_task(courier.work())
        while not courier.is_idle:
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        await courier.close()
        return courier

    return asyncio.run(run()), pauses, lines


def test_each_is_carried_once_and_in_order():
    receiver = Receiver()
    courier, pauses, lines = carried(receiver, range(3))
    assert receiver.attempts == ["0", "1", "2"]
    assert (courier.taken, courier.carried, pauses, lines) == (3, 3, [], [])


def test_another_attempt_has_the_same_number_and_comes_later_each_time():
    receiver = Receiver(Undelivered("busy"), Undelivered("busy"))
    courier, pauses, lines = carried(receiver, [7, 8])
    assert receiver.attempts == ["7", "7", "7", "8"]
    assert pauses == list(PAUSES[:2]) and pauses[0] < pauses[1]
    assert courier.carried == 2
    assert lines == ["receiver: busy: it is tried again"]


def test_what_is_refused_is_not_sent_again():
    receiver = Receiver(Refused("it replied with status 400"))
    courier, pauses, lines = carried(receiver, [1, 2])
    assert receiver.attempts == ["1", "2"] and pauses == []
    assert dict(courier.lost) == {"refused": 1, "run over": 0}
    assert lines[-1] == "receiver: 1 of 2 were carried, the others not: 1 refused"


def test_a_receiver_that_is_dead_is_given_up_after_bounded_attempts_and_said_once():
    courier, pauses, lines = carried(Never(), [1, 2])
    assert pauses == [*PAUSES, *PAUSES]
    assert courier.carried == 0 and courier.lost["not reached"] == 2
    assert lines == [
        "never: nobody there: it is tried again",
        "never: 0 of 2 were carried, the others not: 2 not reached",
    ]


def test_of_too_many_the_newest_are_carried_and_all_are_accounted_for():
    receiver = Receiver()
    courier, _, _ = carried(receiver, range(MOST_WAITING + 5))
    assert receiver.attempts == [str(number) for number in range(5, MOST_WAITING + 5)]
    assert courier.taken == courier.carried + sum(courier.lost.values())
    assert courier.lost["newer came"] == 5


@pytest.mark.parametrize(
    ("kinds", "seen"), [(("answer",), ["a"]), (("answer", "alert"), ["a", "b"])]
)
def test_only_what_is_asked_for_is_carried(kinds, seen):
    receiver = Receiver()
    parcels = [Parcel("answer", b"{}", "a"), Parcel("alert", b"{}", "b")]
    carried(receiver, [], kinds, parcels)
    assert receiver.attempts == seen


def test_what_is_on_its_way_when_the_run_ends_is_counted_as_lost():
    async def run():
        receiver, lines = Receiver(), []
        receiver.carry = lambda parcel: asyncio.Event().wait()
        courier = Courier(receiver, ("alert",), lines.append)
        for number in range(3):
            courier.take(Parcel("alert", b"{}", str(number)))
        task = asyncio.create_task(courier.work())
        await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.wait([task])
        await courier.close()
        return lines

    assert asyncio.run(run()) == ["receiver: 0 of 3 were carried, the others not: 3 run over"]
