"""Recordings as they are downloaded: many in a folder, and in a zip."""

import zipfile

import pytest
from drawn_recording import draw_cloud, draw_neon, write_table

from devices.device import DeviceError
from devices.recording.formats import describe, recordings
from devices.recording.playback import RecordingDevice
from devices.samples import SceneFrame


def refused(path, **options):
    with pytest.raises(DeviceError) as error:
        describe(path, **options)
    line = str(error.value)
    assert "\n" not in line
    return line


def draw_download(folder):
    """As Pupil Cloud's download of two recordings unpacks: a table, and a folder of each."""
    write_table(folder / "sections.csv", ("section id", "recording id"), [("s", "r")])
    draw_cloud(folder / "2024-10-10_09-41-45-1829668d", frames=12)
    draw_cloud(folder / "2024-10-11_10-00-00-7af3", frames=15)
    return folder


def zipped(folder, target, password=None):
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.rglob("*")):
            archive.write(file, file.relative_to(folder.parent))
    return target


def test_of_many_recordings_one_is_named(tmp_path):
    folder = draw_download(tmp_path / "download")
    assert [each.name for each in recordings(folder)] == [
        "2024-10-10_09-41-45-1829668d",
        "2024-10-11_10-00-00-7af3",
    ]
    line = refused(folder)
    assert "2 recordings: say which with --recording NAME" in line and "2024-10-11_10-00" in line
    assert describe(folder, name="2024-10-11_10-00-00-7af3").video.count == 15
    assert "no one recording '2024'" in refused(folder, name="2024")


def test_one_recording_below_is_the_one_that_is_meant(tmp_path):
    draw_neon(tmp_path / "native" / "subject" / "2024-10-10")
    assert describe(tmp_path / "native").name == "Neon recording 2024-10-10"


def test_a_recording_is_not_sought_within_a_recording(tmp_path):
    drawn = draw_neon(tmp_path / "rec")
    draw_cloud(drawn.path / "exports" / "cloud")
    assert recordings(drawn.path) == (drawn.path,)


def test_what_macos_leaves_on_foreign_disks_is_nothing(tmp_path):
    folder = draw_cloud(tmp_path / "many" / "rec", frames=12).path
    for file in list(folder.iterdir()):
        (folder / f"._{file.name}").write_bytes(b"Mac OS X")
    (tmp_path / "many" / "__MACOSX" / "rec").mkdir(parents=True)
    (tmp_path / "many" / "__MACOSX" / "rec" / "._gaze.csv").write_bytes(b"Mac OS X")
    assert describe(tmp_path / "many", strict=True).video.count == 12


def test_a_zip_as_downloaded_is_played_and_nothing_is_left_of_it(tmp_path, monkeypatch):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    drawn = draw_cloud(tmp_path / "2024-10-10", frames=12)
    archive = zipped(drawn.path, tmp_path / "Timeseries.ZIP")
    device = RecordingDevice(archive, fast=True)
    with device as info:
        assert any(scratch.iterdir())
        device.clock.sleep_until(info.ends_at)
        frames = [s for s in device.poll().samples if isinstance(s, SceneFrame)]
        assert [frame.captured_at for frame in frames] == drawn.frame_times.tolist()
    del device
    assert not any(scratch.iterdir())


def test_one_of_a_zip_of_many(tmp_path):
    archive = zipped(draw_download(tmp_path / "download"), tmp_path / "download.zip")
    assert "2 recordings" in refused(archive)
    assert describe(archive, name="2024-10-11_10-00-00-7af3").video.count == 15


def test_a_zip_that_can_not_be_unpacked(tmp_path):
    archive = zipped(draw_cloud(tmp_path / "rec").path, tmp_path / "a.zip")
    data = bytearray(archive.read_bytes())
    (tmp_path / "cut.zip").write_bytes(data[: len(data) // 2])
    assert "cut.zip: the zip is damaged" in refused(tmp_path / "cut.zip")
    data[len(data) // 3] ^= 0xFF
    (tmp_path / "bad.zip").write_bytes(data)
    assert "bad.zip: the zip is damaged" in refused(tmp_path / "bad.zip")
    entries = archive.read_bytes().replace(
        b"PK\x01\x02\x14\x03\x14\x00\x00", b"PK\x01\x02\x14\x03\x14\x00\x01"
    )
    (tmp_path / "locked.zip").write_bytes(entries)
    assert "locked by a password" in refused(tmp_path / "locked.zip")


def test_a_zip_larger_than_the_disk_is_not_unpacked(tmp_path, monkeypatch):
    from devices.recording import archives

    archive = zipped(draw_cloud(tmp_path / "rec").path, tmp_path / "a.zip")
    monkeypatch.setattr(archives.shutil, "disk_usage", lambda folder: type("D", (), {"free": 9})())
    assert "unpack it yourself" in refused(archive)


def test_a_name_for_a_zip_of_something_else(tmp_path):
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("hello")
    archive = zipped(tmp_path / "notes", tmp_path / "notes.zip")
    assert "notes.zip: not a recording of a known format" in refused(archive)
