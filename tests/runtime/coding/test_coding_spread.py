"""Recordings coded in shards, or by workers, are coded as in one process."""

import pytest
from several_recordings import ASKED, NAMES, coded_here, draw_several

from runtime.bundle.opening import Bundle
from runtime.cluster.arrays import run_shards
from runtime.cluster.units import ClusterError
from runtime.coding.__main__ import JOB, main, open_work, parse_arguments
from runtime.coding.spread.work import CodingStore
from runtime.run.command_line import MINI


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return draw_several(tmp_path_factory.mktemp("several"))


@pytest.fixture(scope="module")
def whole(folder, tmp_path_factory):
    return coded_here(folder, tmp_path_factory.mktemp("whole") / "out")


@pytest.fixture(scope="module")
def digest():
    return Bundle.open(MINI).manifest.digest


def work_of(folder, out):
    return open_work((str(out), str(folder), "--out", str(out), *ASKED))


def in_array(folder, out, workers, run_all):
    given = [str(folder), "--out", str(out), *ASKED, "--on", "slurm", "--workers", str(workers)]
    run_shards(parse_arguments(given), given, JOB, run_all)


def in_turns(commands):
    """A stand-in for an array."""
    return [str(words) for words in commands if main(words[1:]) != 0]


def only_first(commands):
    return [*in_turns(commands[:1]), *("preempted" for _ in commands[1:])]


def names_in(folder):
    return {path.parent.name for path in folder.glob("*/codes.jsonl")}


def test_an_array_goes_on_with_another_number_of_shards(folder, whole, tmp_path):
    out = tmp_path / "out"
    with pytest.raises(ClusterError, match="1 of 2 shards failed: preempted"):
        in_array(folder, out, 2, only_first)
    done = names_in(out)
    assert 0 < len(done) < 3
    in_array(folder, out, 3, in_turns)
    again = set().union(*(names_in(out / "shards" / f"{n}-of-3") for n in (1, 2, 3)))
    assert again == set(NAMES) - done, "what is done is not done again"
    assert coded_here(folder, out) == whole


def test_what_is_done_in_another_folder_is_left_out(folder, tmp_path, capsys):
    one, two = tmp_path / "one", tmp_path / "two"
    assert main([str(folder / "first"), *ASKED, "--out", str(one)]) == 0
    given = [str(folder), *ASKED, "--out", str(two), "--after", str(one)]
    assert main(given) == 0
    assert names_in(two) == {"second", "third"}
    capsys.readouterr()
    assert main([*given, "--question", "What else?"]) == 1
    error = capsys.readouterr().err
    assert "another question" in error and error.count("\n") == 1


def test_what_workers_give_is_written_once_and_whole(folder, whole, digest, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    work, store, heard = work_of(folder, out), CodingStore(out, digest), []
    store.accept(work.conditions)
    for name in (*NAMES, NAMES[0]):
        store.write(work.do(name, lambda name=name: heard.append(name)))
    assert set(heard) == set(NAMES)
    assert coded_here(folder, out) == whole


def test_a_worker_with_another_bundle_or_version_is_refused(folder, digest, tmp_path):
    conditions = work_of(folder, tmp_path).conditions
    with pytest.raises(ClusterError, match="another bundle"):
        CodingStore(tmp_path, "0" * 64).accept(conditions)
    newer = conditions.replace(b'"version":"', b'"version":"9.', 1)
    with pytest.raises(ClusterError, match=r"version 9\."):
        CodingStore(tmp_path, digest).accept(newer)
