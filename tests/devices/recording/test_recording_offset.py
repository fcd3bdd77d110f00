"""The wearer's offset: fixations lie where the gaze within them lies, whatever the app left out."""

import ast
import json
import shutil

import numpy as np
import pytest
from drawn_recording import SCENE, START, Span, draw_neon, draw_video

from devices.recording.centres import centre_error
from devices.recording.formats import describe

SIZE = (640, 480)
OFFSET = (27.2, -13.6)


def draw_looking(folder, app, offset, said=None):
    """A second of looking at three places, off by `offset`; `said`: what the app adds to means."""
    rng = np.random.default_rng(5)
    drawn = draw_neon(
        folder,
        parts=(3,),
        video_options={"size": SIZE},
        info={"app_version": app, "gaze_offset": list(offset)},
    )
    (START + np.arange(3) * 500_000_000).tofile(folder / f"{SCENE}1.time")
    places = np.repeat([[100, 90], [400, 300], [250, 420]], [60, 70, 70], axis=0)
    gaze = (places + rng.normal(0, 4, places.shape) + offset).astype("<f4")
    gaze.tofile(drawn.path / "gaze ps1.raw")
    bounds = [(0, 59), (60, 129), (130, 199)]
    rows, means = [], []
    for first, last in bounds:
        mean = gaze[first : last + 1].astype(float).mean(axis=0)
        means.append(mean)
        told = mean - offset + (said if said is not None else (0, 0))
        times = drawn.gaze_times[first], drawn.gaze_times[last]
        rows.append((1, *times, *gaze[first], *gaze[last], *told, 0, 0, 0, 0))
    kind = [
        ("kind", "<i4"),
        ("start", "<i8"),
        ("end", "<i8"),
        *((str(n), "<f4") for n in range(10)),
    ]
    np.array(rows, kind).tofile(drawn.path / "fixations ps1.raw")
    return drawn.path, gaze, np.array(means)


def centres(read):
    closed = [each for each in read.fixations if each.ended_at is not None]
    return np.array([[each.x, each.y] for each in closed]) * SIZE


@pytest.mark.parametrize(
    ("app", "said"), [("2.9.19-prod", None), ("2.8.32-stage", None), ("2.9.31-prod", OFFSET)]
)
def test_centres_are_the_mean_of_the_gaze_within(tmp_path, app, said):
    folder, gaze, means = draw_looking(tmp_path / "rec", app, OFFSET, said)
    read = describe(folder, strict=True)
    assert np.abs(centres(read) - means).max() < 1e-3
    assert read.notices == ()
    onset = read.fixations[0]
    assert (onset.x * 640, onset.y * 480) == pytest.approx(tuple(gaze[0]), abs=1e-3)


@pytest.mark.parametrize("app", ["3.0.0", "2.10.1-prod", "no version"])
def test_centres_that_lie_off_the_gaze_are_told(tmp_path, app):
    folder, _, _ = draw_looking(tmp_path / "rec", app, OFFSET)
    read = describe(folder)
    error = centre_error(read)
    assert (error.count, error.x, error.y) == (
        3,
        pytest.approx(-27.2, abs=0.1),
        pytest.approx(13.6, abs=0.1),
    )
    (notice,) = read.notices
    assert "lie 4.3 degrees from its own gaze" in notice  # 30.4 px, 640 px to 90 degrees
    assert "the wearer's offset" in notice


def test_half_a_degree_is_no_news(tmp_path):
    folder, _, _ = draw_looking(tmp_path / "rec", "3.0.0", (2.0, -2.0))
    assert describe(folder).notices == ()


def test_a_real_wearer_with_an_offset(tmp_path, shared_data):
    """Pupil Labs' own recording, its events read by hand; it has no video, so one is drawn."""
    folder = tmp_path / "rec"
    shutil.copytree(shared_data / "neon-fixations", folder)
    gaze = np.fromfile(folder / "gaze ps1.raw", "<f4").reshape(-1, 2).astype(float)
    times = np.fromfile(folder / "gaze ps1.time", "<i8")
    draw_video(folder / f"{SCENE}1.mp4", 10, size=(1600, 1200), rate=1)
    np.linspace(times[0], times[-1], 10).astype("<i8").tofile(folder / f"{SCENE}1.time")
    named = ast.literal_eval((folder / "fixations.dtype").read_text())
    events = np.fromfile(folder / "fixations ps1.raw", np.dtype(named))
    events = events[events["event_type"] == 1]
    read = describe(folder)
    found = [each for each in read.fixations if each.ended_at is not None]
    assert len(found) == len(events) == 23
    away = []
    for event, fixation in zip(events, found, strict=True):
        start, end = event["start_timestamp_ns"], event["end_timestamp_ns"]
        assert (fixation.started_at, fixation.ended_at) == (start, end)
        within = gaze[(times >= start) & (times <= end)].mean(axis=0)
        away.append((fixation.x * 1600 - within[0], fixation.y * 1200 - within[1]))
    assert np.abs(np.median(away, axis=0)).max() < 1
    assert np.abs(away).max() < 5
    blinks = np.fromfile(folder / "blinks ps1.raw", "<i4, <i8, <i8")
    assert [(b.started_at, b.ended_at) for b in read.blinks] == [(b[1], b[2]) for b in blinks]
    assert [round((b.ended_at - b.started_at) / 1e6) for b in read.blinks] == [235, 255]
    assert read.notices == ()
    info = json.loads((folder / "info.json").read_text())
    info["gaze_offset"] = [0, 0]  # an app that does not tell
    (folder / "info.json").write_text(json.dumps(info))
    assert "1.8 degrees from its own gaze" in describe(folder).notices[0]  # 27.9 px, 1600 to 103


def test_fixations_too_short_to_compare_are_not_compared(tmp_path):
    folder = draw_neon(tmp_path / "rec", fixations=(Span(START, START + 9, mean=(60, 40)),)).path
    assert centre_error(describe(folder)) is None
