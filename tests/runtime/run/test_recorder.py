"""The file of records: whole lines, whatever became of the disk or of the run before."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from runtime.answers.record import SecondRecord, StreamFact
from runtime.errors import RuntimeFault
from runtime.run.recorder import Recorder


def record(at):
    stream = StreamFact(received=1, used=1, dropped={})
    return SecondRecord(at, stream, stream, 0, 0, 1, 0, None, None, None, None, None, None)


def test_every_record_is_in_the_file_as_soon_as_it_is_written(tmp_path):
    recorder = Recorder(tmp_path / "new" / "out.jsonl", pytest.fail)
    for at in range(3):
        recorder.write(record(at))
        lines = (tmp_path / "new" / "out.jsonl").read_text().splitlines()
        assert [json.loads(line)["at"] for line in lines] == list(range(at + 1))
    recorder.close()


def test_what_a_killed_run_left_unfinished_does_not_spoil_the_next_record(tmp_path):
    path = tmp_path / "out.jsonl"
    path.write_text('{"at": 1}\n{"at": 2, "fra')
    recorder = Recorder(path, pytest.fail)
    recorder.write(record(3))
    recorder.close()
    first, torn, last = path.read_text().splitlines()
    assert (json.loads(first)["at"], json.loads(last)["at"]) == (1, 3)
    assert torn == '{"at": 2, "fra'


def test_a_full_disk_is_said_at_once_and_again_at_the_end():
    notices = []
    recorder = Recorder(Path("/dev/full"), notices.append)
    recorder.write(record(1))
    assert len(notices) == 1 and "No space left" in notices[0]
    recorder.write(record(2))
    assert len(notices) == 1
    with pytest.raises(RuntimeFault, match=r"No space left.*not in it"):
        recorder.close()


def test_no_file_no_records():
    recorder = Recorder(None, pytest.fail)
    recorder.write(record(1))
    recorder.close()


def test_a_pipe_that_nobody_reads_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(RuntimeFault, match="nobody reads this pipe"):
        Recorder(tmp_path / "pipe", pytest.fail)


@pytest.mark.parametrize(("leaves", "said"), [(True, "Broken pipe"), (False, "keep up")])
def test_a_reader_that_leaves_or_stops_reading_holds_up_nothing(tmp_path, leaves, said):
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    notices = []
    recorder = Recorder(tmp_path / "pipe", notices.append)
    recorder.write(record(0))
    assert json.loads(os.read(reader, 1 << 16))["at"] == 0
    if leaves:
        os.close(reader)
    for at in range(1000):
        recorder.write(record(at))
    assert len(notices) == 1 and said in notices[0]
    with pytest.raises(RuntimeFault, match=said):
        recorder.close()
    if not leaves:
        os.close(reader)
