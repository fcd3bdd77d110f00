"""What a recording is worth: every figure beside a computation of its own."""

import json
import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from drawn_recording import START, Span, draw_cloud, draw_neon, draw_streamgaze
from drawn_trackers import draw_core

from devices.catalog import open_device
from devices.device import DeviceError
from devices.recording.playback import RecordingDevice
from devices.samples import Fixation
from runtime.check import main
from runtime.live import device_options
from runtime.recordings.fixations import agreement_with, cohens_kappa
from runtime.recordings.quality import frames_without_gaze, gaps
from runtime.recordings.report import as_lines, measured, reports
from runtime.run.command_line import parse_arguments

SIZE = (640, 480)
FOCAL = 500.0


def draw_noisy(folder, noise, samples=1200, gaze=None):
    """Looking at four places for 1.5 s each, with noise of so many pixels in x and in y."""
    rng = np.random.default_rng(7)
    drawn = draw_neon(folder, parts=(13,), gaze=samples, video_options={"size": SIZE})
    frames = START + np.arange(13) * 500_000_000
    frames.tofile(folder / "Neon Scene Camera v1 ps1.time")
    places = np.repeat([[320, 240], [350, 200], [300, 250], [280, 260]], 300, axis=0)
    points = places + rng.normal(0, noise, places.shape) if gaze is None else gaze
    points.astype("<f4").tofile(folder / "gaze ps1.raw")
    calibration = bytes([1]) + b"123456" + np.array([FOCAL], "<f8").tobytes() + bytes(800)
    (folder / "calibration.bin").write_bytes(calibration)
    return drawn, points.astype("<f4").astype(float)


@pytest.mark.parametrize("noise", [0.5, 3.0])
def test_precision_is_the_rms_from_sample_to_sample(tmp_path, noise):
    _, points = draw_noisy(tmp_path / "rec", noise)
    said = measured(tmp_path / "rec").gaze
    windows = []
    for start in range(0, 1199 - 40 + 1, 40):
        squares = []
        for (x1, y1), (x2, y2) in pairwise(points[start : start + 41] - (320, 240)):
            dot = x1 * x2 + y1 * y2 + FOCAL**2
            lengths = math.hypot(x1, y1, FOCAL) * math.hypot(x2, y2, FOCAL)
            squares.append(math.degrees(math.acos(min(1.0, dot / lengths))) ** 2)
        windows.append(math.sqrt(sum(squares) / len(squares)))
    assert said.precision == pytest.approx(np.median(windows), rel=0.01)
    # Two samples of noise in two axes: 2 x noise, at the middle of the frame.
    assert said.precision == pytest.approx(math.degrees(2 * noise / FOCAL), rel=0.1)
    assert said.is_field_known and said.rate == pytest.approx(200, abs=0.01)


def test_what_is_lost_is_told_by_cause(tmp_path):
    drawn, points = draw_noisy(tmp_path / "rec", 1.0)
    points[[10, 11]] = np.nan
    points.astype("<f4").tofile(drawn.path / "gaze ps1.raw")
    worn = np.full(1200, 255, "u1")
    worn[100:140] = 0
    worn.tofile(drawn.path / "worn ps1.raw")
    times = drawn.gaze_times.copy()
    times[[5, 6, 7]] = 0
    times.tofile(drawn.path / "gaze ps1.time")
    kind = np.dtype([("type", "<i4"), ("start", "<i8"), ("end", "<i8")])
    blink = np.array([(4, drawn.gaze_times[200], drawn.gaze_times[219])], kind)
    blink.tofile(drawn.path / "blinks ps1.raw")
    said = measured(drawn.path)
    assert said.gaze.lost == {
        "left out (without a time)": 3,
        "taken as no gaze (no number)": 2,
        "not worn, or no gaze given": 40,
        "in a blink": 20,
    }
    assert said.gaze.samples == 1197 and said.blinks == 1


def test_gaze_of_which_the_tracker_was_not_sure_is_told(tmp_path):
    confidence = np.where(np.arange(120) < 30, 0.3, 1.0)
    draw_core(tmp_path / "rec", confidence=confidence)
    assert measured(tmp_path / "rec").gaze.lost == {"pupil not found well enough": 30}


def test_gaps_are_counted_beyond_the_usual_interval():
    times = (
        START
        + np.concatenate([np.arange(100), 150 + np.arange(100), 300 + np.arange(9)]) * 5_000_000
    )
    found = gaps(times)
    assert (found.count, found.longest, found.total) == (2, pytest.approx(0.25), pytest.approx(0.5))
    assert gaps(times[:100]).count == gaps(times[:1]).count == 0


def test_frames_without_gaze_by_hand(tmp_path):
    folder = draw_neon(tmp_path / "rec", parts=(60,), gaze=200, gaze_start=START + 100_000_000).path
    read = RecordingDevice(folder, fast=True)
    with read:
        gaze, frames = read.description.gaze, read.description.frame_times
    expected = 0
    for frame in frames:
        before = [t for t in gaze.times if t <= frame]
        expected += not before or frame - before[-1] > 250_000_000
    assert 0 < expected < 60
    assert frames_without_gaze(gaze, frames, 0.25) == expected


def span(start, end, x=0.5, y=0.5):
    at = START + start * 10**6
    return Fixation(START + end * 10**6, 0, x, y, at, START + end * 10**6, "device")


def test_agreement_is_counted_as_by_hand(tmp_path):
    drawn, _ = draw_noisy(tmp_path / "rec", 1.0)
    device = RecordingDevice(drawn.path, fast=True)
    with device:
        read = device.description
    own = [span(0, 400), span(500, 900), span(1000, 1100), span(2000, 2600)]
    found = [
        span(50, 420, x=0.5 + 10 / 640),  # 350 of 420: matched, 10 px off
        span(500, 690),  # 190 of 400: not
        span(690, 900),  # 210 of 400: matched
        span(1000, 1300),  # 100 of 300: not
        span(2000, 2600, y=0.5 + 20 / 480),  # matched, 20 px off
    ]
    said = agreement_with(own, found, read)
    assert (said.matched, said.of) == (3, 4)
    assert said.degrees == pytest.approx(10 / (FOCAL * math.pi / 180))
    labels = [
        [any(f.started_at <= t <= f.ended_at for f in each) for t in read.gaze.times]
        for each in (own, found)
    ]
    a, b = (np.array(each, float) for each in labels)
    both, chance = (a == b).mean(), a.mean() * b.mean() + (1 - a.mean()) * (1 - b.mean())
    assert said.kappa == pytest.approx((both - chance) / (1 - chance))
    assert cohens_kappa(a > 0, a > 0) == 1 and cohens_kappa(a > 2, a > 2) is None


def test_each_rule_is_counted_and_compared(tmp_path):
    drawn, points = draw_noisy(tmp_path / "rec", 0.5)
    bounds = [(n * 300, n * 300 + 299) for n in range(4)]
    spans = [
        Span(drawn.gaze_times[a], drawn.gaze_times[b], points[a], points[a:b].mean(axis=0))
        for a, b in bounds
    ]
    rows = [(1, s.start, s.end, *s.first, *s.first, *s.mean, 0, 0, 0, 0) for s in spans]
    kind = [("k", "<i4"), ("s", "<i8"), ("e", "<i8"), *((f"v{n}", "<f4") for n in range(10))]
    np.array(rows, kind).tofile(drawn.path / "fixations ps1.raw")
    said = measured(drawn.path)
    results = {result.rule: result for result in said.fixations}
    minutes = 6 / 60
    assert results["device"].count == 4 and results["device"].agreement is None
    assert results["device"].per_minute == pytest.approx(4 / minutes)
    velocity = results["velocity"]
    assert (velocity.count, velocity.agreement.matched, velocity.agreement.of) == (4, 4, 4)
    assert velocity.agreement.degrees < 0.1
    assert {"device", "dispersion", "velocity"} <= set(results)


def test_a_video_with_a_fixation_file_has_no_gaze_to_measure(tmp_path):
    said = measured(draw_streamgaze(tmp_path, [(0.5, 0.5, 0.2, 1.0)]))
    assert said.gaze is None and said.fixations == ()
    assert any("only a fixation file" in line for line in as_lines(said))


def test_the_command_fits_a_screen_and_speaks_json(tmp_path, capsys):
    draw_cloud(tmp_path / "many" / "one", blinks=(Span(START + 5, START + 9),))
    draw_neon(tmp_path / "many" / "two")
    assert main(["--recording", str(tmp_path / "many" / "two")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "recording  Neon recording two" and len(lines) <= 24
    assert main(["--recording", str(tmp_path / "many"), "--json"]) == 0
    one, two = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert (one["blinks"], two["blinks"]) == (1, 0)
    assert one["gaze"]["samples"] == two["gaze"]["samples"] == 200
    assert two["recording"].endswith("two") and two["losses"] == []


def test_the_command_line_says_which_recording_and_whether_whole(tmp_path):
    draw_cloud(tmp_path / "many" / "one")
    drawn = draw_neon(tmp_path / "many" / "two")
    chosen = ["--device", "recording", "--path", str(tmp_path / "many"), "--recording", "two"]
    options = parse_arguments([*chosen, "--fast", "--strict"])
    with open_device("recording", device_options(options)) as info:
        assert info.name == "Neon recording two"
    times = drawn.gaze_times[::-1].copy()
    times[:100] = drawn.gaze_times[:100]
    times.tofile(drawn.path / "gaze ps1.time")
    with pytest.raises(DeviceError, match="--strict"):
        open_device("recording", device_options(options)).connect()
    open_device("recording", replace(device_options(options), strict=False)).connect()


def test_what_can_not_be_measured_is_one_line(tmp_path, capsys):
    assert main(["--recording", str(tmp_path / "absent")]) == 1
    assert capsys.readouterr().err.count("\n") == 1
    with pytest.raises(SystemExit):
        main([])
    with pytest.raises(SystemExit):
        main(["bundle", "--recording", "rec"])
    with pytest.raises(SystemExit):
        main(["bundle", "--json"])


def test_the_real_recordings_figures(shared_data):
    (said,) = reports(shared_data / "neon-recording")
    times = np.fromfile(shared_data / "neon-recording" / "gaze ps1.time", "<i8")
    frames = np.fromfile(shared_data / "neon-recording" / "Neon Scene Camera v1 ps1.time", "<i8")
    assert said.gaze.samples == 639 and said.gaze.frames == 144
    late = [f for f in frames if not any(0 <= f - t <= 250_000_000 for t in times)]
    assert said.gaze.frames_without == len(late)
    steps = np.diff(times)
    assert said.gaze.gaps.count == (steps > 3 * np.median(steps)).sum()
    assert 0.1 < said.gaze.precision < 0.5
