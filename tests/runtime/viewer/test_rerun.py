"""What is drawn for Rerun is read back with Rerun's own reader and compared with the sources."""

import csv
import io
import json
import socket
import sys
import threading

import numpy as np
import pytest
from coded_wearer import coded, draw, things_of
from PIL import Image

from devices.samples import GazeSample
from runtime.live import main as live
from runtime.viewer.drawing import MOST_OPAQUE, VIEWER, heat_picture
from runtime.viewer.listener import MOST, RerunListener

HAS_VIEWER_PORT = socket.socket().connect_ex(VIEWER) == 0


class SlowDrawing:
    """Draws nothing until it may."""

    def __init__(self):
        self.gate, self.begun = threading.Event(), threading.Event()
        self.drawn, self.is_closed = [], False

    def gaze(self, sample):
        self.begun.set()
        self.gate.wait(10)
        self.drawn.append(sample.captured_at)

    def close(self):
        self.is_closed = True


def sample(at):
    return GazeSample(at, at, 0.5, 0.5)


def entities(path):
    """The rows of each entity, as (capture time in Unix ns, its components)."""
    reader = pytest.importorskip("rerun.chunk", reason="needs the extra 'rerun'").RrdReader(path)
    found = {}
    for chunk in reader.stream():
        batch = chunk.to_record_batch()
        if "capture" not in batch.schema.names:
            continue
        times = batch.column("capture").cast("int64").to_pylist()
        columns = {name: batch.column(name).to_pylist() for name in batch.schema.names}
        rows = [
            {name: values[row] for name, values in columns.items()} for row in range(len(times))
        ]
        found.setdefault(chunk.entity_path, []).extend(zip(times, rows, strict=True))
    return {name: sorted(rows, key=lambda row: row[0]) for name, rows in found.items()}


def test_a_live_run_is_drawn_on_the_capture_time_line(tmp_path):
    pytest.importorskip("rerun", reason="needs the extra 'rerun'")
    drawn, records, diary = (tmp_path / name for name in ("run.rrd", "run.jsonl", "diary.sqlite"))
    kept = ["--rerun", str(drawn), "--record", str(records), "--diary", str(diary)]
    assert live(["--fast", "--seconds", "6", "--seed", "3", *kept]) == 0
    found = entities(drawn)
    lines = [json.loads(line) for line in records.read_text().splitlines()]
    answers = [line for line in lines if line["kind"] == "answer"]
    summary = lines[-1]
    assert len(found["/scene/picture"]) == summary["frames"]["received"]
    assert len(found["/scene/gaze"]) == summary["gaze"]["received"]
    assert [at for at, _ in found["/answers"]] == sorted(each["asked_at"] for each in answers)
    waits = [row["Scalars:scalars"][0] for _, row in found["/stages/time\\ to\\ first\\ token"]]
    assert waits == pytest.approx([each["ttft_ms"] for each in answers])
    steps = {at for each in answers for at in each["steps"]}
    # No question waits for what gaze did to the step of its own moment, which is its last.
    compared = {at for each in answers for at in each["steps"][:-1]}
    assert compared and compared <= {at for at, _ in found["/scene/gaze\\ did"]}
    pictured = {at for at, _ in found["/scene/picture"]}
    assert steps <= pictured
    assert found["/things"] and any(name.startswith("/alerts/Tell") for name in found)
    (blob,) = found["/scene/picture"][0][1]["EncodedImage:blob"]
    assert Image.open(io.BytesIO(bytes(blob))).size[0] > 0


def test_a_coding_is_drawn_with_the_names_of_its_table(tmp_path):
    pytest.importorskip("rerun", reason="needs the extra 'rerun'")
    wearer = draw(tmp_path / "wearer")
    drawn, out = tmp_path / "coding.rrd", tmp_path / "out"
    things = ("--things", things_of(wearer), "--check", "no")
    assert coded(wearer.folder, out, *things, "--rerun", str(drawn)) == 0
    found = entities(drawn)
    with (out / "wearer" / "fixations_coded.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    told = [(at, row["TextLog:text"][0].rsplit(" (", 1)[0]) for at, row in found["/things"]]
    assert told == [(int(r["start timestamp [ns]"]), r["thing"] or "unsure") for r in rows]
    places = [row["Points2D:positions"][0] for _, row in found["/scene/thing"]]
    wanted = [[float(r["fixation x [px]"]), float(r["fixation y [px]"])] for r in rows]
    assert np.allclose(places, wanted, atol=1e-2)
    frames = {int(row["frame timestamp [ns]"]) for row in rows}
    assert {at for at, _ in found["/scene/picture"]} == frames


def test_a_coding_replaces_its_drawing_but_no_other_file_and_says_so_first(tmp_path, capsys):
    pytest.importorskip("rerun", reason="needs the extra 'rerun'")
    wearer, out = draw(tmp_path / "wearer"), tmp_path / "out"
    drawn, notes = tmp_path / "coding.rrd", tmp_path / "notes.txt"
    notes.write_text("mine")
    things = ("--things", things_of(wearer), "--check", "no")
    assert coded(wearer.folder, out, *things, "--rerun", str(notes)) == 1
    assert "it is there already" in capsys.readouterr().err
    assert notes.read_text() == "mine" and not out.exists()
    for _ in range(2):
        assert coded(wearer.folder, out, *things, "--rerun", str(drawn)) == 0
        assert entities(drawn)["/things"]


def test_what_is_drawn_too_slowly_gives_way_in_real_time_and_is_counted():
    drawing, said = SlowDrawing(), []
    listener = RerunListener(drawing, (1, 1), False, said.append)
    listener._put("other news", sample(0))
    assert drawing.begun.wait(10)
    count = MOST["other news"] + 9
    for at in range(1, count + 1):
        listener._put("other news", sample(at))
    drawing.gate.set()
    listener.close()
    assert drawing.drawn == [0, *range(10, count + 1)]
    assert drawing.is_closed
    assert said == ["rerun: 9 other news gave way to newer, because drawing was slower"]


def test_a_library_that_fails_costs_the_run_nothing():
    class Broken(SlowDrawing):
        def gaze(self, sample):
            raise RuntimeError("disk full")

    said = []
    listener = RerunListener(Broken(), (1, 1), True, said.append)
    for at in range(2 * MOST["other news"]):
        listener._put("other news", sample(at))
    listener.close()
    assert "disk full" in said[0]


def test_the_heat_lies_where_its_token_does():
    strength = np.array([0, 1, 2, 4, 0, 0], np.float32)
    picture = heat_picture(strength, (2, 3), (30, 20))
    assert picture.shape == (20, 30, 4)
    for row in range(20):
        for column in range(30):
            token = (row // 10) * 3 + column // 10
            assert picture[row, column, 3] == round(MOST_OPAQUE * float(strength[token]) / 4)


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("{folder}/there.rrd", "it is there already"),
        ("{folder}/there.rrd/x.rrd", "can't be written"),
        pytest.param(
            "connect",
            "no viewer listens",
            marks=pytest.mark.skipif(HAS_VIEWER_PORT, reason="a viewer listens here"),
        ),
    ],
)
def test_what_can_not_be_drawn_on_is_one_line(tmp_path, capsys, target, said):
    pytest.importorskip("rerun", reason="needs the extra 'rerun'")
    (tmp_path / "there.rrd").write_text("mine")
    assert live(["--fast", "--seconds", "1", "--rerun", target.format(folder=tmp_path)]) == 1
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1
    assert (tmp_path / "there.rrd").read_text() == "mine"


def test_without_the_library_it_is_one_line(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "rerun", None)
    assert live(["--fast", "--seconds", "1", "--rerun", str(tmp_path / "x.rrd")]) == 1
    assert "gazeqwen-edge[rerun]" in capsys.readouterr().err
