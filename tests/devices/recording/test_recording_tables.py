"""Tables as spreadsheets leave them: read where nothing is lost, else the program is named."""

import re

import numpy as np
import pytest
from drawn_recording import draw_cloud, write_table

from devices.device import DeviceError
from devices.recording.formats import describe


def european(path):
    """The same table as a spreadsheet in much of Europe saves it."""
    text = path.read_text().replace(",", ";")
    path.write_text(re.sub(r"(\d)\.(\d)", r"\1,\2", text), encoding="utf-8-sig")


def test_semicolons_decimal_commas_and_words_are_read(tmp_path):
    drawn = draw_cloud(tmp_path / "rec", not_worn=(5,))
    plain = describe(drawn.path)
    table = drawn.path / "gaze.csv"
    lines = table.read_text().splitlines()
    cells = [line.split(",") for line in lines]
    words = {"1": "True", "0": "False", "": ""}
    lines = [lines[0], *(",".join([*c[:5], words[c[5]], *c[6:]]) for c in cells[1:])]
    table.write_text("\n".join(lines))
    for file in ("gaze.csv", "world_timestamps.csv"):
        european(drawn.path / file)
    assert ";True;" in table.read_text() and ";False;" in table.read_text()
    read = describe(drawn.path, strict=True)
    assert read.gaze.times.tolist() == plain.gaze.times.tolist()
    assert read.gaze.x.tolist() == plain.gaze.x.tolist()
    assert read.gaze.worn.tolist() == plain.gaze.worn.tolist()
    assert not read.gaze.worn[5] and read.frame_times.tolist() == plain.frame_times.tolist()


@pytest.mark.parametrize("written", ["1.72855E+18", "1,72855E+18", "1.728546108163e18"])
def test_times_that_lost_their_digits_name_the_program(tmp_path, written):
    drawn = draw_cloud(tmp_path / "rec")
    times = [f'"{written}"'] * 30
    (drawn.path / "world_timestamps.csv").write_text("\n".join(["timestamp [ns]", *times]))
    with pytest.raises(DeviceError) as error:
        describe(drawn.path)
    line = str(error.value)
    assert "has lost its digits" in line and "Excel" in line and written in line


def test_times_that_kept_a_microsecond_are_read_and_said(tmp_path):
    drawn = draw_cloud(tmp_path / "rec")
    rows = [(f"{float(time):.15e}",) for time in drawn.frame_times]
    write_table(drawn.path / "world_timestamps.csv", ("timestamp [ns]",), rows)
    read = describe(drawn.path)
    assert np.abs(read.frame_times - drawn.frame_times).max() <= 1000
    assert "30 times in world_timestamps.csv are known to a microsecond only" in read.notices[0]
