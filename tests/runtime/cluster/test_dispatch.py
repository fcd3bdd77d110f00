"""Units are handed out largest first, again elsewhere where one is lost, and each is kept once."""

from collections import Counter, deque
from itertools import count

import pytest
from drawn_work import SAME, KeptStore

from runtime.cluster.dispatch import Beat, Dispatcher, Failed, Finished, Lost, Opened, Rules
from runtime.cluster.units import ClusterError, Parcel, Unit
from runtime.errors import RuntimeFault


class FakePlace:
    """Workers in one thread. `behave(worker, key, attempt)`: the events that a unit ends with."""

    def __init__(self, behave=None, conditions=lambda worker: SAME):
        self._behave, self._conditions = behave, conditions
        self._names = (f"worker {number}" for number in count(1))
        self._events = deque()
        self.given, self.ended, self.now = [], [], 0.0
        self.attempts = Counter()
        self.most = 0

    def start(self):
        name = next(self._names)
        conditions = self._conditions(name)
        self._events.append(conditions(name) if callable(conditions) else Opened(name, conditions))
        return name

    def give(self, worker, key):
        self.attempts[key] += 1
        self.given.append((worker, key))
        event = self._behave and self._behave(worker, key, self.attempts[key])
        if event is not False:
            self._events.append(event or Finished(worker, Parcel(key, b"", 0.0)))

    def wait(self, seconds):
        self.most = max(self.most, len(self._events))
        self.now += seconds
        return [self._events.popleft()] if self._events else []

    def end(self, worker):
        self.ended.append(worker)


def units(*costs):
    return [Unit(f"unit {number}", cost) for number, cost in enumerate(costs)]


def dispatch(place, work, workers=2, store=None, **rules):
    store = store or KeptStore()
    heard = []
    Dispatcher(place, store, Rules(**rules), heard.append, lambda: place.now).run(work, workers)
    return store, heard


def test_the_largest_goes_first_and_each_is_written_once():
    place = FakePlace()
    store, _ = dispatch(place, units(3, 9, 1, 7))
    assert [key for _, key in place.given] == ["unit 1", "unit 3", "unit 0", "unit 2"]
    assert sorted(store.written) == ["unit 0", "unit 1", "unit 2", "unit 3"]


def test_no_more_results_wait_than_there_are_workers():
    place = FakePlace()
    store, _ = dispatch(place, units(*range(10_000)), workers=8)
    assert len(set(store.written)) == len(store.written) == 10_000
    assert place.most <= 8


def test_a_unit_whose_worker_dies_is_done_by_another():
    place = FakePlace(lambda worker, key, attempt: Lost(worker, "killed") if attempt < 3 else None)
    store, heard = dispatch(place, units(1, 2))
    assert sorted(store.written) == ["unit 0", "unit 1"] and not store.skipped
    assert len({worker for worker, key in place.given if key == "unit 0"}) == 3
    assert [each.what for each in heard].count("again") == 4


def test_after_three_tries_it_is_skipped_with_its_cause():
    def behave(worker, key, attempt):
        return Lost(worker, "its process ended") if key == "unit 1" else None

    store, _ = dispatch(FakePlace(behave), units(1, 5, 2))
    assert store.skipped == {"unit 1": "tried 3 times: its process ended"}
    assert sorted(store.written) == ["unit 0", "unit 2"]


def test_a_unit_that_fails_is_tried_elsewhere_while_there_is_an_elsewhere():
    def behave(worker, key, attempt):
        return Failed(worker, "disk") if worker == "worker 1" else None

    place = FakePlace(behave)
    store, _ = dispatch(place, units(1, 2, 3, 4))
    tries = [worker for worker, key in place.given if key == "unit 3"]
    assert tries == ["worker 1", "worker 2"] and len(store.written) == 4


def test_one_worker_alone_tries_again_itself():
    place = FakePlace(lambda worker, key, attempt: Failed(worker, "x") if attempt < 3 else None)
    store, _ = dispatch(place, units(1), workers=1)
    assert store.written == ["unit 0"]


def test_a_worker_that_stalls_is_ended_and_replaced():
    place = FakePlace(lambda worker, key, attempt: False if attempt == 1 else None)
    store, heard = dispatch(place, units(1), workers=1, stalled_after=5.0)
    assert store.written == ["unit 0"] and place.ended[0] == "worker 1"
    assert "nothing came of it for 5 s" in heard[0].cause and place.now < 12


def test_a_worker_that_gets_on_is_not_ended():
    class Slow(FakePlace):
        def wait(self, seconds):
            self.now += seconds
            if self.given and self.now < 30:
                return [Beat("worker 1")]
            return super().wait(0)

    place = Slow()
    dispatch(place, units(1), workers=1, stalled_after=5.0)
    assert place.attempts["unit 0"] == 1


def test_a_worker_with_another_bundle_gets_nothing():
    class Strict(KeptStore):
        def accept(self, conditions):
            if conditions != SAME:
                raise RuntimeFault("it has another bundle")

    place = FakePlace(conditions=lambda worker: b"other" if worker == "worker 1" else SAME)
    store, heard = dispatch(place, units(1, 2), store=Strict())
    assert {worker for worker, _ in place.given} == {"worker 2"} and len(store.written) == 2
    assert (heard[0].what, heard[0].cause) == ("refused", "it has another bundle")
    with pytest.raises(ClusterError, match="no worker is left: it has another bundle"):
        dispatch(FakePlace(conditions=lambda worker: b"other"), units(1, 2), store=Strict())


def test_workers_that_never_open_end_the_job():
    place = FakePlace(conditions=lambda worker: lambda name: Lost(name, "out of memory"))
    with pytest.raises(ClusterError, match="out of memory"):
        dispatch(place, units(1, 2), workers=2)
    assert len(place.ended) < 8


def test_what_the_store_raises_ends_the_workers():
    class Full(KeptStore):
        def write(self, parcel):
            raise RuntimeFault("No space left on device")

    place = FakePlace()
    with pytest.raises(RuntimeFault, match="No space"):
        dispatch(place, units(1, 2), store=Full())
    assert set(place.ended) == {"worker 1", "worker 2"}
