"""A data set elsewhere gives the results of one that lies here."""

import pytest
from drawn_streamgaze import choice, draw_set
from elsewhere import in_memory, on_the_web

from benchmarks.streamgaze.__main__ import main
from benchmarks.streamgaze.merging import merge
from runtime.run.command_line import MINI

pytest.importorskip("fsspec", reason="needs the extra 'url'")
VIDEOS = {"first": 12, "second": 9, "third": 9}  # seconds


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    asked = [(stem, [choice(5), choice(8, "C")]) for stem in VIDEOS]
    return draw_set(tmp_path_factory.mktemp("set"), VIDEOS, {"past_scene_recall": asked})


def results(out):
    merge([out], out.with_name("sorted"), is_untimed=True)
    return (out.with_name("sorted") / "results.jsonl").read_bytes()


def run(folder, *given):
    assert main([*map(str, given), "--bundle", str(MINI), "--out", str(folder / "run")]) == 0
    return results(folder / "run")


def test_a_set_elsewhere_gives_what_one_here_gives(drawn, tmp_path_factory):
    """Of the copies two videos fit at a time: they are let go, and come again."""
    here = run(tmp_path_factory.mktemp("here"), *drawn.options())
    videos = sorted(path.stat().st_size for path in drawn.root.glob("videos/*/*.mp4"))
    tables = sum(path.stat().st_size for path in drawn.root.rglob("*.*") if path.suffix != ".mp4")
    room = (2 * tables + videos[-1] + videos[0]) / 2**30
    for place in (in_memory, on_the_web):
        with place() as put:
            url = put(drawn.root)
            folder = tmp_path_factory.mktemp("there")
            given = ["--data", url, "--fixation-dir", f"{url.rstrip('/')}/gaze/", "--threads", 1]
            cache = folder / "cache"
            assert run(folder, *given, "--cache", cache, "--cache-size", room) == here
            held = sum(path.stat().st_size for path in cache.glob("*/copy/**/*.*"))
            assert 0 < held <= room * 2**30
            assert len(list(cache.glob("*/copy/*.mp4"))) < len(videos)


def test_videos_that_do_not_come_end_the_run_and_it_goes_on(drawn, tmp_path, capsys):
    """No question is skipped for a network that is gone for a while."""
    given = [*drawn.options(), "--bundle", MINI, "--out", tmp_path / "run"]
    with on_the_web() as put:
        url = put(drawn.root / "videos")
        given += ["--cache", tmp_path / "cache", "--video-dir", url]
        assert main([*map(str, given), "--cache-size", "1e-6"]) == 1
        assert "--cache-size" in capsys.readouterr().err
        assert main(list(map(str, given))) == 0
    capsys.readouterr()
    assert main(list(map(str, given))) == 1
    error = capsys.readouterr().err
    assert "can't be had" in error and error.count("\n") == 1
    lines = results(tmp_path / "run").splitlines()
    assert len(lines) == len(set(lines)) == 6 and b'"skipped":"' not in b"".join(lines)
