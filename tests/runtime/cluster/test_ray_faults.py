"""The evaluation on Ray, with wrong workers, videos and disks: nothing is lost or twice."""

import os
import shutil
import subprocess
from dataclasses import replace

import msgspec
import pytest
from drawn_streamgaze import choice, draw_set

from benchmarks.streamgaze import spreading
from benchmarks.streamgaze.__main__ import main
from benchmarks.streamgaze.asking.results import read_run
from benchmarks.streamgaze.merging import merge
from runtime.bundle.opening import Bundle, write_manifest
from runtime.cluster.progress import LOG_FILE, LogLine
from runtime.run.command_line import MINI

pytestmark = pytest.mark.cluster
pytest.importorskip("ray", reason="needs the extra 'cluster'")
STEMS = ("one", "two", "three", "four")


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    asked = [(stem, [choice(second) for second in range(1, 10)]) for stem in STEMS]
    videos = dict.fromkeys(STEMS, 9)
    return draw_set(tmp_path_factory.mktemp("set"), videos, {"past_scene_recall": asked})


@pytest.fixture(scope="module")
def whole(drawn, tmp_path_factory):
    """The results of one process, sorted, without times; and how many bytes they take with them."""
    out = tmp_path_factory.mktemp("whole") / "run"
    assert main(drawn.options("--bundle", MINI, "--out", out)) == 0
    return results(out), (out / "results.jsonl").stat().st_size


@pytest.fixture
def run(drawn, nodes, monkeypatch):
    """Runs with workers that are opened by a function of `faulty_work`; the exit status."""

    def run(out, opener, data=drawn):
        monkeypatch.setattr(spreading, "OPENER", opener)
        on_ray = ("--on", "ray", "--address", nodes.address, "--workers", 2)
        return main(data.options("--bundle", MINI, "--out", out, *on_ray))

    return run


def results(out):
    merge([out], out.with_name("sorted"), is_untimed=True)
    return (out.with_name("sorted") / "results.jsonl").read_bytes()


def logged(out, what):
    lines = (out / LOG_FILE).read_bytes().splitlines()
    told = [msgspec.json.decode(line, type=LogLine) for line in lines]
    return [each for each in told if each.what == what]


def test_a_worker_with_another_bundle_is_refused_and_the_others_do_its_units(
    run, whole, tmp_path, capsys
):
    shutil.copytree(MINI, tmp_path / "other")
    write_manifest(tmp_path / "other", replace(Bundle.open(MINI).manifest, name="other"))
    assert run(tmp_path / "run", "faulty_work:open_other_bundle") == 0
    (refused,) = logged(tmp_path / "run", "refused")
    assert "it has another bundle" in refused.cause and "give --hand-over" in refused.cause
    assert refused.cause[:40] in " ".join(capsys.readouterr().out.split())
    assert {each.worker for each in logged(tmp_path / "run", "written")} != {refused.worker}
    assert results(tmp_path / "run") == whole[0]


def test_a_worker_of_another_version_is_refused_and_with_no_other_the_job_stops(
    run, whole, tmp_path, capsys
):
    assert run(tmp_path / "none", "faulty_work:open_all_other_versions") == 1
    error = capsys.readouterr().err
    assert "no worker is left: it has version 9.9, not " in error and error.count("\n") == 1
    assert not (tmp_path / "none" / "results.jsonl").exists()
    assert run(tmp_path / "run", "faulty_work:open_other_version") == 0
    (refused,) = logged(tmp_path / "run", "refused")
    assert "it has version 9.9" in refused.cause
    assert results(tmp_path / "run") == whole[0]


def test_a_video_that_crashes_the_decoder_is_tried_three_times_and_skipped(
    run, whole, tmp_path, drawn
):
    """By a segmentation fault and by leaving: what is asked about the others is answered."""
    bad = ("segfault", "exit")
    asked = [(stem, [choice(second) for second in range(1, 10)]) for stem in (*STEMS, *bad)]
    videos = dict.fromkeys((*STEMS, *bad), 9)
    data = draw_set(tmp_path / "set", videos, {"past_scene_recall": asked})
    assert run(tmp_path / "run", "faulty_work:open_crashing", data) == 0
    found = read_run(tmp_path / "run").results
    assert len(found) == len({each.key for each in found}) == 9 * 6
    skipped = {each.key.video: each.reason for each in found if each.skipped is not None}
    assert set(skipped) == {"segfault.mp4", "exit.mp4"}
    assert all("tried 3 times: its process ended" in cause for cause in skipped.values())
    for video in skipped:
        tries = [each for w in ("again", "skipped") for each in logged(tmp_path / "run", w)]
        own = [each for each in tries if each.unit == video]
        assert [each.what for each in own] == ["again", "again", "skipped"]
        assert len({each.worker for each in own}) == 3
    answered = [line for line in results(tmp_path / "run").splitlines() if not lost(line, bad)]
    assert answered == whole[0].splitlines()


def lost(line, bad):
    return any(f'"video":"{stem}.mp4"'.encode() in line for stem in bad)


@pytest.fixture
def small_disk(tmp_path, whole):
    """A file system of its own that half the results fill; what takes its room goes when called."""
    if os.geteuid() != 0:
        pytest.skip("a file system of its own is mounted by root alone")
    place = tmp_path / "disk"
    place.mkdir()
    size = 3 * whole[1] + (64 << 10)
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode:
        pytest.skip(f"no file system of its own can be mounted: {ended.stderr.strip()}")
    try:
        ballast = place / "ballast"
        ballast.write_bytes(b"x" * (shutil.disk_usage(place).free - whole[1] // 2))
        yield place, ballast
    finally:
        subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk_stops_the_job_and_with_room_it_goes_on(run, whole, small_disk, capsys):
    place, ballast = small_disk
    opener = spreading.OPENER
    assert run(place / "run", opener) == 1
    error = capsys.readouterr().err
    assert "No space left on device: the same command goes on" in error
    assert error.count("\n") == 1
    before = (place / "run" / "results.jsonl").read_bytes()
    kept = before.count(b"\n")
    assert 0 < kept < 36 and before.endswith(b"\n")
    ballast.unlink()
    assert run(place / "run", opener) == 0
    assert (place / "run" / "results.jsonl").read_bytes().startswith(before)
    assert len(read_run(place / "run").results) == 36
    assert results(place / "run") == whole[0]
