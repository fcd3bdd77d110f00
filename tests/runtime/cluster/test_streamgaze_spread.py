"""A run in shards, and one by workers, is the run of one process."""

import pytest
from drawn_streamgaze import mixed_set

from benchmarks.streamgaze import command
from benchmarks.streamgaze.__main__ import main
from benchmarks.streamgaze.asking.results import read_run
from benchmarks.streamgaze.asking.units import units_of
from benchmarks.streamgaze.merging import merge
from benchmarks.streamgaze.spreading import JOB, RunStore, open_work
from runtime.bundle.opening import Bundle
from runtime.cluster.arrays import run_shards
from runtime.cluster.units import ClusterError
from runtime.run.command_line import MINI


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    return mixed_set(tmp_path_factory.mktemp("set"))


@pytest.fixture(scope="module")
def whole(drawn, tmp_path_factory):
    """The results of one process, sorted, without times."""
    folder = tmp_path_factory.mktemp("whole")
    assert main(drawn.options("--bundle", MINI, "--out", folder / "run")) == 0
    return merged(folder / "merged", folder / "run")


def merged(out, *folders):
    merge(folders, out, is_untimed=True)
    return (out / "results.jsonl").read_bytes()


def arguments(drawn, out, *more):
    return drawn.options("--bundle", MINI, "--out", out, *more)


def test_shards_merged_are_the_whole_and_another_number_goes_on(drawn, whole, tmp_path):
    def run_all(commands):
        return [str(words) for words in commands if main(words[1:]) != 0]

    for workers, kept in ((3, 3), (2, 2)):
        given = arguments(drawn, tmp_path / "out", "--on", "slurm", "--workers", workers)
        options = command.run_parser().parse_args(given)
        run_shards(options, given, JOB, run_all)
        assert len(read_run(tmp_path / "out").results) == len(whole.splitlines())
        assert len(list((tmp_path / "out" / "shards").glob(f"*-of-{workers}"))) == kept
    assert merged(tmp_path / "sorted", tmp_path / "out") == whole
    again = tmp_path / "out" / "shards" / "1-of-2" / "results.jsonl"
    assert again.read_bytes() == b"", "what was done is not done again"


def store_of(drawn, out):
    options = command.run_parser().parse_args(arguments(drawn, out))
    files, _ = command.open_data(options)
    digest = Bundle.open(MINI).manifest.digest
    return RunStore(options, files, digest), files, digest


def test_a_workers_units_are_the_whole_and_come_only_once(drawn, whole, tmp_path):
    work = open_work((str(tmp_path), *arguments(drawn, tmp_path / "unused")))
    store, files, _ = store_of(drawn, tmp_path / "out")
    store.accept(work.conditions)
    units = units_of(files)
    for unit in (*units, units[0]):
        store.write(work.do(unit.key, lambda: None))
    assert not units_of(files, store.done)
    store.close()
    assert merged(tmp_path / "sorted", tmp_path / "out") == whole


def test_a_unit_that_is_skipped_has_its_cause_in_every_question(drawn, tmp_path):
    work = open_work((str(tmp_path), *arguments(drawn, tmp_path / "unused")))
    store, files, _ = store_of(drawn, tmp_path / "out")
    store.accept(work.conditions)
    unit = units_of(files)[0]
    store.skip(unit, "tried 3 times: its process ended")
    store.close()
    results = read_run(tmp_path / "out").results
    assert len(results) == unit.size
    assert {each.reason for each in results} == {"tried 3 times: its process ended"}


@pytest.mark.parametrize("was", ["version", "digest"])
def test_a_worker_with_another_bundle_or_version_is_refused(drawn, tmp_path, was):
    work = open_work((str(tmp_path), *arguments(drawn, tmp_path / "unused")))
    store, _, digest = store_of(drawn, tmp_path / "out")
    old = digest.encode() if was == "digest" else b'"version":"'
    other = b"0" * len(old) if was == "digest" else b'"version":"9.'
    with pytest.raises(ClusterError, match="another bundle" if was == "digest" else "version 9"):
        store.accept(work.conditions.replace(old, other, 1))
    assert not (tmp_path / "out").exists()
