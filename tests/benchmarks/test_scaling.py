"""What workers are worth: times begin when all of them are ready, and tables hold medians."""

import json
import sys
from collections import deque

import pytest

from benchmarks.scaling.__main__ import Round, main, scaling_sheet
from benchmarks.scaling.timing import Job, Timed, at_place, in_this_process
from runtime.cluster.dispatch import Failed, Finished, Opened
from runtime.cluster.units import ClusterError, Opener, Parcel, Unit

EMPTY = Opener("benchmarks.scaling.nothing:open_work", ())
JOB = Job(EMPTY, tuple(Unit(str(number), 1.0, size=5) for number in range(6)))


class SlowPlace:
    """Workers that come one after the other, ten seconds apart, and take a second for a unit."""

    def __init__(self, is_broken=False):
        self.now, self.is_broken = 0.0, is_broken
        self._started = 0
        self._events = deque()

    def clock(self):
        return self.now

    def start(self):
        self._started += 1
        name = f"worker {self._started}"
        is_broken = self.is_broken and self._started == 2
        came = Failed(name, "no such bundle") if is_broken else Opened(name, b"")
        self._events.append((10.0 * self._started, came))
        return name

    def give(self, worker, key):
        self._events.append((self.now + 1.0, Finished(worker, Parcel(key, b"", 1.0))))

    def wait(self, seconds):
        at, event = self._events.popleft()
        self.now = max(self.now, at)
        return [event]

    def end(self, worker):
        pass


def test_times_begin_when_all_workers_are_ready():
    place = SlowPlace()
    assert at_place(JOB, place, 2, place.clock) == Timed(opening=20.0, working=3.0)
    assert JOB.results == 30


def test_a_worker_that_does_not_open_is_said():
    place = SlowPlace(is_broken=True)
    with pytest.raises(ClusterError, match="worker 2 does not open: no such bundle"):
        at_place(JOB, place, 2, place.clock)


def test_this_process_does_all_units():
    ticks = iter(range(100))
    assert in_this_process(JOB, lambda: float(next(ticks))) == Timed(1.0, 1.0)


def test_rows_are_medians_over_the_rounds():
    rounds = [
        Round({0: Timed(1, 8), 2: Timed(4, 4)}, {0: Timed(0, 0.1), 2: Timed(1, 2)}),
        Round({0: Timed(1, 9), 2: Timed(5, 5)}, {0: Timed(0, 0.3), 2: Timed(1, 4)}),
        Round({0: Timed(1, 2), 2: Timed(9, 2)}, {0: Timed(0, 0.2), 2: Timed(1, 9)}),
    ]
    sheet = scaling_sheet(72, 1000, rounds)
    assert sheet.rows == (
        ("one process", 9.0, 1.0, 1, pytest.approx(0.2)),
        ("2 workers", 18.0, pytest.approx(1.8), 5, 4.0),
    )


def test_without_the_extra_it_is_one_line(monkeypatch, capsys):
    monkeypatch.delitem(sys.modules, "runtime.cluster.ray_place", raising=False)
    monkeypatch.setitem(sys.modules, "ray", None)
    assert main([]) == 1
    error = capsys.readouterr().err
    assert "it needs the extra 'cluster'" in error and error.count("\n") == 1


@pytest.mark.cluster
def test_the_command_measures(tmp_path):
    pytest.importorskip("ray", reason="needs the extra 'cluster'")
    file = tmp_path / "scaling.json"
    small = ["--videos", "2", "--seconds", "5", "--questions", "4", "--units", "100"]
    assert main([*small, "--workers", "1", "--rounds", "1", "--json", str(file)]) == 0
    (sheet,) = json.loads(file.read_bytes())["sheets"]
    assert [row[0] for row in sheet["rows"]] == ["one process", "1 worker"]
    assert all(figure > 0 for row in sheet["rows"] for figure in row[1:])
