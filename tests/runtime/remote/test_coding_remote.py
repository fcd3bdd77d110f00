"""A recording elsewhere is coded as one that lies here, and can be reviewed there."""

import json

import pytest
from drawn_recording import draw_streamgaze
from elsewhere import in_memory, on_the_web
from several_recordings import ASKED, coded_here, draw_several, files_of

from runtime.coding.__main__ import main
from runtime.coding.review.folder import ReviewFolder
from runtime.remote.cache import BoundedCache
from runtime.remote.copies import LocalCopies

pytest.importorskip("fsspec", reason="needs the extra 'url'")


def test_a_folder_elsewhere_is_coded_and_reviewed_as_one_here(tmp_path):
    folder = draw_several(tmp_path / "several") / "first"
    here = coded_here(folder, tmp_path / "here")
    cache, out = tmp_path / "cache", tmp_path / "out"
    with in_memory() as put:
        url = put(folder)
        assert main([url, "--out", str(out), *ASKED, "--cache", str(cache)]) == 0
        assert files_of(out) == here
        assert json.loads((out / "first" / "recipe.json").read_text())["recording"] == url
        review = ReviewFolder(out, LocalCopies(BoundedCache(cache, 1 << 30)))
        looked_at = next(n for n, i in enumerate(review.items) if i.fixation.code.frame_at)
        assert review.frame(looked_at)[:2] == b"\xff\xd8"
        review.close()
    assert len(list(cache.glob("*/copy"))) == 1, "it was copied once"


def test_a_video_and_its_fixations_come_from_the_web(tmp_path, capsys):
    video = draw_streamgaze(tmp_path / "video", [(0.5, 0.5, 0.1, 1.5), (0.2, 0.5, 1.6, 1.9)])
    table = video.with_name(f"{video.stem}_fixation_filtered.csv")
    here = coded_here(video, tmp_path / "here")
    given = [*ASKED, "--cache", str(tmp_path / "cache")]
    with on_the_web() as put:
        url = put(video.parent)
        there = [f"{url}{video.name}", "--fixation-file", f"{url}{table.name}"]
        assert main([*there, "--out", str(tmp_path / "there"), *given]) == 0
        assert files_of(tmp_path / "there") == here
        capsys.readouterr()
        assert main([f"{url}gone.mp4", "--out", str(tmp_path / "gone"), *given]) == 1
    error = capsys.readouterr().err
    assert "gone.mp4: can't be had" in error and error.count("\n") == 1
