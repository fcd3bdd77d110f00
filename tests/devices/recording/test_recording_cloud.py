"""Pupil Cloud's export: CSV tables beside the scene video."""

import numpy as np
from drawn_recording import START, Span, decode_each, draw_cloud, write_table

from devices.recording.formats import describe
from devices.recording.playback import RecordingDevice
from devices.samples import Blink, Fixation, GazeSample, SceneFrame


def delivered(folder):
    device = RecordingDevice(folder, fast=True)
    samples, ended = [], False
    with device as info:
        while not ended:
            delivery = device.poll()
            samples += delivery.samples
            ended = delivery.ended
            device.clock.sleep_until(device.clock.now() + 10_000_000)
    return info, samples


def test_an_export_is_delivered_as_its_tables_have_it(tmp_path):
    drawn = draw_cloud(tmp_path / "export", not_worn=(5, 6))
    decoded = decode_each(drawn.videos)
    info, samples = delivered(drawn.path)
    frames = [sample for sample in samples if isinstance(sample, SceneFrame)]
    gaze = [sample for sample in samples if isinstance(sample, GazeSample)]
    assert [frame.captured_at for frame in frames] == drawn.frame_times.tolist()
    assert all(np.array_equal(f.pixels, p) for f, p in zip(frames, decoded, strict=True))
    assert [sample.captured_at for sample in gaze] == drawn.gaze_times.tolist()
    assert [(s.x, s.y) for s in gaze] == [(float(x) / 64, float(y) / 48) for x, y in drawn.gaze]
    assert [index for index, sample in enumerate(gaze) if not sample.worn] == [5, 6]
    assert (info.starts_at, info.ends_at) == (drawn.frame_times[0], drawn.frame_times[-1])
    assert info.gaze_from is None and not info.detects_fixations


def test_a_fixation_opens_where_the_gaze_was_at_its_onset(tmp_path):
    plain = draw_cloud(tmp_path / "plain")
    onset, end = int(plain.gaze_times[20]), int(plain.gaze_times[60])
    x, y = (float(value) for value in plain.gaze[20])
    blink = Span(end + 1, end + 9)
    seen = Span(onset, end, mean=(16, 12))
    unseen = Span(end + 100, end + 200, mean=(32, 36))  # no gaze sample at that very moment
    folder = draw_cloud(tmp_path / "export", fixations=(seen, unseen), blinks=(blink,)).path
    info, samples = delivered(folder)
    assert info.detects_fixations
    assert [sample for sample in samples if isinstance(sample, Fixation)] == [
        Fixation(onset, onset, x / 64, y / 48, onset, None, "device"),
        Fixation(end, end, 0.25, 0.25, onset, end, "device"),
        Fixation(end + 100, end + 100, 0.5, 0.75, end + 100, None, "device"),
        Fixation(end + 200, end + 200, 0.5, 0.75, end + 100, end + 200, "device"),
    ]
    assert [s for s in samples if isinstance(s, Blink)] == [
        Blink(end + 9, end + 9, end + 1, end + 9)
    ]


def test_time_stamps_keep_every_digit_however_they_are_written(tmp_path):
    drawn = draw_cloud(tmp_path / "export", frames=3)
    written = [str(START), f"{START + 40_000_001}.0", "1.728546108263313163E18"]
    rows = [(text,) for text in written]
    write_table(drawn.path / "world_timestamps.csv", ("timestamp [ns]",), rows)
    expected = [START, START + 40_000_001, 1_728_546_108_263_313_163]
    assert describe(drawn.path).frame_times.tolist() == expected


def test_an_export_without_the_worn_column_was_worn(tmp_path):
    drawn = draw_cloud(tmp_path / "export")
    rows = [(t, float(x), float(y)) for t, (x, y) in zip(drawn.gaze_times, drawn.gaze, strict=True)]
    header = ("timestamp [ns]", "gaze x [px]", "gaze y [px]")
    write_table(drawn.path / "gaze.csv", header, rows)
    assert describe(drawn.path).gaze.worn.all()
