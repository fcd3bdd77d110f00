"""Recordings as people have them: what is there is read, what is not is counted and said."""

import numpy as np
import pytest
from drawn_recording import (
    SCENE,
    START,
    Span,
    decode_each,
    draw_cloud,
    draw_neon,
    draw_streamgaze,
    draw_video,
    write_table,
)

from devices.device import DeviceError
from devices.recording.formats import describe
from devices.recording.video import VideoCursor

DRAW = {"neon": draw_neon, "cloud": draw_cloud}
KINDS = pytest.mark.parametrize("kind", DRAW)
FASTSTART = {"muxer_options": {"movflags": "faststart"}}
GAZE_HEADER = ("timestamp [ns]", "gaze x [px]", "gaze y [px]", "worn")


def write_gaze(kind, folder, times, points):
    if kind == "neon":
        np.asarray(times, "<i8").tofile(folder / "gaze ps1.time")
        np.asarray(points, "<f4").tofile(folder / "gaze ps1.raw")
    else:
        rows = [(t, *(repr(float(v)) for v in p), 1) for t, p in zip(times, points, strict=True)]
        write_table(folder / "gaze.csv", GAZE_HEADER, rows)


def write_stamps(kind, folder, times):
    if kind == "neon":
        np.asarray(times, "<i8").tofile(folder / f"{SCENE}1.time")
    else:
        write_table(folder / "world_timestamps.csv", ("timestamp [ns]",), [(t,) for t in times])


def losses(read):
    return {(loss.noun, loss.treatment): (loss.count, loss.total) for loss in read.losses}


def refused(path, **options):
    with pytest.raises(DeviceError) as error:
        describe(path, **options)
    line = str(error.value)
    assert "\n" not in line
    return line


def check_damage(path, expected):
    """Read with one line about the losses that names every count; refused if it is to be whole."""
    read = describe(path)
    assert losses(read) == expected
    (notice,) = read.notices
    for (noun, treatment), (count, total) in expected.items():
        assert f"{count} of {total} {noun} {treatment}" in notice
    assert "--strict" in refused(path, strict=True)
    assert (np.diff(read.frame_times) >= 0).all() and (np.diff(read.gaze.times) >= 0).all()
    return read


def pixels_of(read):
    cursor = VideoCursor(read.video)
    return [cursor.read(index) for index in range(read.video.count)]


@KINDS
def test_a_whole_recording_has_nothing_to_say(tmp_path, kind):
    read = describe(DRAW[kind](tmp_path / "rec").path, strict=True)
    assert read.notices == () and read.losses == ()


@KINDS
def test_samples_out_of_order_are_put_in_order_with_their_places(tmp_path, kind):
    drawn = DRAW[kind](tmp_path / "rec")
    order = np.arange(200)
    order[[50, 51]], order[120] = [51, 50], 120
    order = np.concatenate([order[:120], order[121:130], [120], order[130:]])  # nine samples late
    write_gaze(kind, drawn.path, drawn.gaze_times[order], drawn.gaze[order])
    read = check_damage(drawn.path, {("gaze samples", "put in order of time"): (2, 200)})
    assert read.gaze.times.tolist() == drawn.gaze_times.tolist()
    assert read.gaze.x.tolist() == (drawn.gaze[:, 0].astype(float) / 64).tolist()


@pytest.mark.parametrize("cell", ["", "nan", "NaN", "null"])
def test_a_cell_without_a_number_is_no_gaze(tmp_path, cell):
    drawn = draw_cloud(tmp_path / "rec")
    table = drawn.path / "gaze.csv"
    lines = table.read_text().splitlines()
    cells = lines[8].split(",")
    lines[8] = ",".join([*cells[:3], cell, *cells[4:]])
    table.write_text("\n".join(lines))
    read = check_damage(drawn.path, {("gaze samples", "taken as no gaze"): (1, 200)})
    assert np.flatnonzero(~read.gaze.worn).tolist() == [7]
    assert read.gaze.times.tolist() == drawn.gaze_times.tolist()


@pytest.mark.parametrize("row", ["section,recording,not a time,1,1", "section,recor", "x,y,"])
def test_rows_without_a_time_are_left_out(tmp_path, row):
    drawn = draw_cloud(tmp_path / "rec")
    table = drawn.path / "gaze.csv"
    lines = table.read_text().splitlines()
    table.write_text("\n".join([*lines[:10], row, *lines[10:]]))
    read = check_damage(drawn.path, {("gaze samples", "left out"): (1, 201)})
    assert read.gaze.times.tolist() == drawn.gaze_times.tolist()


def draw_unsteady(kind, folder):
    """A recording whose camera stumbles, as real ones do; its video's times follow its stamps."""
    times = START + np.arange(30) * 33_333_333 + np.arange(30) * 7_919 % 13 * 1_000_000
    drawn = DRAW[kind](folder, video_options={"shown": times - START})
    write_stamps(kind, folder, times)
    return drawn, times


@KINDS
@pytest.mark.parametrize("place", [0, 14, 30])
def test_a_time_stamp_too_many_is_found_by_the_times_of_the_video(tmp_path, kind, place):
    drawn, times = draw_unsteady(kind, tmp_path / "rec")
    wrong = {0: times[0] - 33_000_000, 14: times[13] + 12_000_000, 30: times[29] + 33_000_000}
    write_stamps(kind, drawn.path, np.insert(times, place, wrong[place]))
    read = check_damage(drawn.path, {("frames", "left out"): (1, 31)})
    assert read.frame_times.tolist() == times.tolist()


@KINDS
@pytest.mark.parametrize("place", [0, 14, 29])
def test_a_frame_without_a_time_stamp_is_left_out_and_the_others_keep_theirs(tmp_path, kind, place):
    drawn, times = draw_unsteady(kind, tmp_path / "rec")
    kept = np.delete(np.arange(30), place)
    write_stamps(kind, drawn.path, times[kept])
    read = check_damage(drawn.path, {("frames", "left out"): (1, 30)})
    assert read.frame_times.tolist() == times[kept].tolist()
    decoded = list(decode_each(drawn.videos))
    for number, pixels in zip(kept, pixels_of(read), strict=True):
        assert np.array_equal(pixels, decoded[number])


@KINDS
def test_a_time_stamp_out_of_order_costs_its_frame_only(tmp_path, kind):
    drawn = DRAW[kind](tmp_path / "rec")
    stamps = drawn.frame_times.copy()
    stamps[9] += 3_600_000_000_000
    write_stamps(kind, drawn.path, stamps)
    read = check_damage(drawn.path, {("frames", "left out"): (1, 30)})
    assert read.frame_times.tolist() == np.delete(drawn.frame_times, 9).tolist()


@pytest.mark.parametrize("part", [1, 2])
@pytest.mark.parametrize("cut", [3, 8, 50])
def test_bytes_missing_at_the_end_of_a_stream_shift_nothing(tmp_path, part, cut):
    drawn = draw_neon(tmp_path / "rec")
    for name, values, half in (("time", drawn.gaze_times, 100), ("raw", drawn.gaze, 100)):
        values[:half].tofile(drawn.path / f"gaze ps1.{name}")
        values[half:].tofile(drawn.path / f"gaze ps2.{name}")
    raw = drawn.path / f"gaze ps{part}.raw"
    raw.write_bytes(raw.read_bytes()[:-cut])
    lost = -(-cut // 8)
    read = check_damage(drawn.path, {("gaze samples", "left out"): (lost, 200)})
    kept = np.delete(np.arange(200), np.arange(part * 100 - lost, part * 100))
    assert read.gaze.times.tolist() == drawn.gaze_times[kept].tolist()
    assert read.gaze.x.tolist() == (drawn.gaze[kept, 0].astype(float) / 64).tolist()


@pytest.mark.parametrize("share", [0.02, 0.3])
def test_a_video_cut_at_its_end_is_read_up_to_there(tmp_path, share):
    drawn = draw_neon(tmp_path / "rec", parts=(48,), video_options=FASTSTART)
    (video,) = drawn.videos
    decoded = list(decode_each([video]))
    data = video.read_bytes()
    video.write_bytes(data[: round(len(data) * (1 - share))])
    read = describe(drawn.path)
    count = read.video.count
    assert 24 <= count < 48
    check_damage(drawn.path, {("frames", "left out"): (48 - count, 48)})
    assert all(np.array_equal(a, b) for a, b in zip(pixels_of(read), decoded[:count], strict=True))
    assert read.frame_times.tolist() == drawn.frame_times[:count].tolist()


def test_bytes_missing_that_held_no_frame_are_said(tmp_path):
    drawn = draw_neon(tmp_path / "rec")
    (video,) = drawn.videos
    video.write_bytes(video.read_bytes()[:-3])
    read = describe(drawn.path)
    assert read.video.count == 30 and "3 bytes are missing" in read.notices[0]
    assert "--strict" in refused(drawn.path, strict=True)


def test_a_plain_video_that_was_cut_is_read_too(tmp_path):
    path = draw_streamgaze(tmp_path, [(0.25, 0.75, 0.1, 0.5)])
    draw_video(path, 48, rate=24, **FASTSTART)
    data = path.read_bytes()
    path.write_bytes(data[:-400])
    read = describe(path)
    assert 24 <= read.video.count < 48 and "left out (cut off" in read.notices[0]
    path.write_bytes(data[: len(data) // 3])
    assert "more than half of its frames would be lost" in refused(path)


@KINDS
def test_what_is_hardly_there_is_refused(tmp_path, kind):
    drawn = DRAW[kind](tmp_path / "frames")
    write_stamps(kind, drawn.path, drawn.frame_times[:14])
    assert "more than half of its frames would be lost" in refused(drawn.path)
    drawn = DRAW[kind](tmp_path / "gaze")
    times = np.where(np.arange(200) % 3 == 0, drawn.gaze_times, 0)
    write_gaze(kind, drawn.path, times, drawn.gaze)
    assert "more than half of its gaze samples would be lost" in refused(drawn.path)


@KINDS
@pytest.mark.parametrize("noun", ["fixations", "blinks"])
def test_an_event_that_ends_before_it_starts_is_left_out(tmp_path, kind, noun):
    good, bad = Span(START + 9, START + 15), Span(START + 5, START + 4)
    folder = DRAW[kind](tmp_path / "rec", **{noun: (bad, good)}).path
    read = check_damage(folder, {(noun, "left out"): (1, 2)})
    assert {event.started_at for event in getattr(read, noun)} == {START + 9}


def test_events_need_no_time_stamps_beside_them(tmp_path):
    folder = draw_neon(tmp_path / "rec", fixations=(Span(START, START + 5),)).path
    (folder / "fixations ps1.time").unlink()
    assert len(describe(folder, strict=True).fixations) == 2


def test_a_stream_without_its_time_stamps_is_refused(tmp_path):
    folder = draw_neon(tmp_path / "rec").path
    (folder / "gaze ps1.time").unlink()
    assert "gaze ps1.time: the time stamps of gaze ps1.raw are missing" in refused(folder)


@pytest.mark.parametrize("seed", range(8))
def test_whatever_is_damaged_the_counts_add_up(tmp_path, seed):
    rng = np.random.default_rng(seed)
    drawn = draw_neon(tmp_path / "rec")
    times, points = drawn.gaze_times.copy(), drawn.gaze.copy()
    swapped = rng.permutation(199)[:6]
    for place in swapped:
        times[[place, place + 1]] = times[[place + 1, place]]
        points[[place, place + 1]] = points[[place + 1, place]]
    times[rng.integers(0, 200, 3)] = 0
    write_gaze("neon", drawn.path, times, points)
    raw = drawn.path / "gaze ps1.raw"
    raw.write_bytes(raw.read_bytes()[: -int(rng.integers(1, 200))])
    stamps = drawn.frame_times.copy()
    stamps[rng.integers(0, 30, 2)] += rng.integers(-(10**9), 10**9, 2)
    write_stamps("neon", drawn.path, stamps[: 30 - int(rng.integers(0, 3))])
    read = describe(drawn.path)
    left_out = {"gaze samples": 0, "frames": 0}
    for loss in read.losses:
        left_out[loss.noun] += loss.count * (loss.treatment == "left out")
    assert read.gaze.times.size + left_out["gaze samples"] == 200
    assert read.frame_times.size + left_out["frames"] == 30
    assert (np.diff(read.gaze.times) >= 0).all() and (np.diff(read.frame_times) >= 0).all()
    known = {
        t: tuple(p) for t, p in zip(drawn.gaze_times.tolist(), drawn.gaze / (64, 48), strict=True)
    }
    for at, x, y in zip(read.gaze.times.tolist(), read.gaze.x, read.gaze.y, strict=True):
        assert known[at] == pytest.approx((x, y), abs=1e-6)
