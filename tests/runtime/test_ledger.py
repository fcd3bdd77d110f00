"""A job on disk goes on from whole lines only, under the same conditions, by one process."""

import errno
import os
from dataclasses import dataclass

import pytest

from runtime.ledger import Job, Ledger


class JobError(Exception):
    """The job's own."""


@dataclass(frozen=True, slots=True)
class Way:
    bundle: str
    files: dict[str, str]


@dataclass(frozen=True, slots=True)
class Done:
    number: int


JOB = Job("count", "count.json", "counts.jsonl", Way, Done, JobError)
WAY = Way("mini", {"past": "0123456789"})


def opened(folder, way=WAY):
    return Ledger(JOB, folder, way)


def test_it_goes_on_from_the_last_whole_line(tmp_path):
    ledger = opened(tmp_path)
    ledger.append([Done(1), Done(2)])
    ledger.close()
    with (tmp_path / "counts.jsonl").open("ab") as file:
        file.write(b'{"numb')
    assert JOB.read(tmp_path) == [Done(1), Done(2)]
    again = opened(tmp_path)
    assert again.before == (Done(1), Done(2))
    again.append([Done(3)])
    again.close()
    assert JOB.read(tmp_path) == [Done(1), Done(2), Done(3)]
    assert JOB.read_conditions(tmp_path) == WAY


def test_another_condition_is_refused_with_both(tmp_path):
    opened(tmp_path).close()
    with pytest.raises(JobError, match=r"a count with another files \(past: 01234567, now past: f"):
        opened(tmp_path, Way("mini", {"past": "fedc"}))
    opened(tmp_path).close()  # and was let go of


def test_one_at_a_time(tmp_path):
    held = opened(tmp_path)
    with pytest.raises(JobError, match="another process is making this count"):
        opened(tmp_path)
    held.close()
    opened(tmp_path).close()


@pytest.mark.parametrize("line", [b"{}\n", b"\xff\n", b"[" * 10_000 + b"\n"])
def test_a_damaged_line_is_named(tmp_path, line):
    opened(tmp_path).close()
    (tmp_path / "counts.jsonl").write_bytes(b'{"number":1}\n' + line)
    with pytest.raises(JobError, match=r"counts\.jsonl, line 2: damaged"):
        opened(tmp_path)


def test_a_full_disk_is_one_line_of_the_job(tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    ledger = opened(tmp_path)
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(JobError, match=r"counts\.jsonl: No space left on device"):
        ledger.append([Done(1)])


def test_a_folder_that_is_a_file_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(JobError, match="can't be written"):
        opened(tmp_path / "file")


def test_what_did_not_fit_on_the_disk_leaves_no_part(tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    ledger = opened(tmp_path)
    ledger.append([Done(1)])
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(JobError):
            ledger.append([Done(2), Done(3)])
    assert JOB.read(tmp_path) == [Done(1)]
    ledger.append([Done(2), Done(3)])
    assert JOB.read(tmp_path) == [Done(1), Done(2), Done(3)]
