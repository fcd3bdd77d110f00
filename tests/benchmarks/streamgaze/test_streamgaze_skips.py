"""Runs on drawn data sets: what is skipped, and options that do not go together."""

import json

import pytest
from drawn_streamgaze import choice, draw_set, entry, results, write_task

from benchmarks.streamgaze.__main__ import main
from benchmarks.streamgaze.asking.evaluation import Way, evaluate
from benchmarks.streamgaze.asking.results import read_run
from benchmarks.streamgaze.data.dataset import Selection, VideoIndex, read_tasks
from benchmarks.streamgaze.data.media import Library

SCENE = "past_scene_recall"


CAUSAL, RELEASED = Way("causal", use_gaze=True), Way("released", use_gaze=True)


def bad_set(root):
    """A sound question among every kind of bad one."""
    drawn = draw_set(root, {"clip": 6, "mute": 6}, {SCENE: []})
    (drawn.fixations / "mute_fixation_filtered.csv").unlink()
    long = "word " * 2000
    bad = [choice(5) | {"time_stamp": "x"}, choice(90), choice(4, text=long), choice(5, "")]
    entries = [
        entry("clip.mp4", [choice(2), *bad, choice(5)]),
        entry("gone.mp4", [choice(3)]),
        entry("mute.mp4", [choice(3)]),
        "nonsense",
    ]
    write_task(drawn.root, SCENE, entries)
    return drawn


def test_bad_questions_are_skipped_by_cause_and_stop_nothing(tiny_folder, tmp_path, capsys):
    drawn = bad_set(tmp_path / "set")
    out = tmp_path / "run"
    assert main(drawn.options("--bundle", tiny_folder, "--out", out)) == 0
    kept = read_run(out).results
    causes = sorted(result.skipped for result in kept if result.skipped)
    assert causes == sorted(
        [
            "unreadable time",
            "time after the end of the video",
            "question refused",
            "no right answer",
            "missing video",
            "missing fixation file",
            "malformed entry",
        ]
    )
    assert [result.key.time for result in kept if result.response] == ["00:02", "00:05"]
    assert all(result.correct is None for result in kept if result.skipped)
    assert "skipped, missing video" in capsys.readouterr().out


def test_a_broken_frame_costs_only_the_questions_that_need_it(tiny_models, tmp_path):
    drawn = draw_set(tmp_path / "set", {"clip": 12}, {SCENE: [("clip", [choice(2), choice(11)])]})
    path = drawn.root / "videos" / "original_video" / "clip.mp4"
    content = bytearray(path.read_bytes())
    start = content.index(b"mdat") + 4
    length = int.from_bytes(content[start - 8 : start - 4])
    middle = start + int(length * 0.55)
    content[middle : start + int(length * 0.98)] = bytes(int(length * 0.98) - int(length * 0.55))
    path.write_bytes(content)
    first, last = results(tiny_models, drawn, CAUSAL)
    assert first.response is not None
    assert last.skipped == "unusable video" and "clip.mp4" in last.reason


def test_a_skipped_alert_is_wrong_and_a_skipped_choice_does_not_count(tiny_models, mixed):
    nowhere = Library(VideoIndex([]), [], "yes")
    files = read_tasks(mixed.root, Selection())
    for result in evaluate(tiny_models, nowhere, files, CAUSAL):
        assert result.skipped == "missing video"
        assert result.correct is (False if result.is_alert else None)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--protocol", "released", "--ask-after", "0.5"], "--ask-after"),
        (["--engine", "torch"], "--gaze-checkpoint"),
    ],
)
def test_what_does_not_go_together_is_one_line(
    tiny_folder, mixed, tmp_path, capsys, options, named
):
    out = tmp_path / "run"
    assert main(mixed.options("--bundle", tiny_folder, "--out", out, *options)) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1 and named in error


def test_a_missing_bundle_is_one_line(mixed, tmp_path, capsys):
    assert main(mixed.options("--bundle", tmp_path / "none", "--out", tmp_path / "run")) == 1
    assert "there is no such bundle" in capsys.readouterr().err
    assert main(mixed.options("--out", tmp_path / "run")) == 1
    assert "--bundle" in capsys.readouterr().err


def test_a_run_with_other_settings_is_not_mixed_in(tiny_folder, mixed, tmp_path, capsys):
    out = tmp_path / "run"
    common = mixed.options("--bundle", tiny_folder, "--out", out, "--tasks", "GTA")
    assert main(common) == 0
    before = (out / "results.jsonl").read_bytes()
    assert main([*common, "--gaze", "none"]) == 1
    assert "another gaze (yes, now none)" in capsys.readouterr().err
    assert main(common) == 0  # finished: nothing is asked again
    assert (out / "results.jsonl").read_bytes() == before
    assert len(before.splitlines()) == 4
    assert all(
        json.loads(line)["key"]["task"].startswith("proactive") for line in before.splitlines()
    )
