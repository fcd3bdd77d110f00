"""Twenty thousand damaged files of recordings: read, or refused in one line, at once.

The scene video is read once and left whole: `test_trackers_damaged` damages it.
"""

import json
import random

import msgpack
import numpy as np
import pytest
from drawn_recording import START, Span, draw_cloud, draw_neon
from drawn_trackers import core_times, draw_core, draw_core_export, draw_invisible, write_pldata
from hostile_input import attack, damaged, mutated

from devices.device import DeviceError
from devices.recording.formats import describe
from devices.recording.trackers import scene

SPANS = {
    "fixations": [Span(START + 10**8, START + 2 * 10**8, (3, 4), (5, 6))],
    "blinks": [Span(START + 5, START + 10**7)],
}
SHORT = {"gaze": 12, **SPANS}
KIND = [("x", "<f4"), ("y", "<f4")]
NUMBERS = (None, True, -1, 2**63, 1e300, float("nan"), "4", [], {})
TYPES = ("<f8", "<u8", "S3", "V0", "O", "<M8[ns]", "<c8", "<f4,<f4", "?", ">f4", "9999999f4")


def draw_phone(folder):
    draw_neon(folder, **SHORT)
    (folder / "gaze.dtype").write_text(repr(KIND))
    (folder / "calibration.bin").write_bytes(
        b"\x01123456" + np.float64(892.5).tobytes() + bytes(90)
    )
    info = {"app_version": "2.8.0-prod", "gaze_offset": [1.5, -2.0]}
    (folder / "info.json").write_text(json.dumps(info))
    return folder


def draw_seen_core(folder):
    draw_core(folder, gaze=12)
    at = float(core_times([START + 10**8])[0])
    mean = {"timestamp": at, "duration": 100.0, "norm_pos": [0.5, 0.5], "id": 1}
    write_pldata(folder, "fixations", [mean, {**mean, "duration": 120.0}])
    write_pldata(folder, "blinks", [{"type": k, "timestamp": at} for k in ("onset", "offset")])
    return folder


def draw_exported_core(folder):
    draw_core(folder, gaze=12)
    return draw_core_export(folder)[0]


DRAW = {
    "neon": draw_phone,
    "invisible": lambda folder: draw_invisible(folder, again=True, **SHORT).path,
    "cloud": lambda folder: draw_cloud(folder, **SHORT).path,
    "core": draw_seen_core,
    "core export": draw_exported_core,
}
pytestmark = pytest.mark.filterwarnings("error")
CASES = {"neon": 800, "core": 600, "cloud": 400, "invisible": 100, "core export": 100}


@pytest.fixture
def recording(request, tmp_path, monkeypatch):
    """(what is read, its files but the video); the video is read once."""
    read = DRAW[request.param](tmp_path / "whole")
    known = {}
    track = scene.track

    def once(paths, tally=None):
        (path,) = paths
        if path not in known:
            known[path] = track(paths, tally)
        return known[path]

    monkeypatch.setattr(scene, "track", once)
    describe(read)
    files = [file for file in sorted((tmp_path / "whole").rglob("*")) if file.is_file()]
    return read, [file for file in files if file.suffix != ".mp4"]


def parse(path):
    """Whether a recording is read, as soundly as if it were whole."""
    try:
        found = describe(path)
    except DeviceError as error:
        assert "\n" not in str(error) and len(str(error)) < 5000
        return False
    for times in (found.gaze.times, found.frame_times):
        assert times.dtype == np.int64 and (np.diff(times) >= 0).all()
    assert found.gaze.times.size == found.gaze.x.size == found.gaze.worn.size
    assert np.isfinite(found.gaze.x[found.gaze.worn]).all()
    for fixation in found.fixations:
        assert np.isfinite([fixation.x, fixation.y]).all()
        assert 0 < fixation.started_at <= (fixation.ended_at or fixation.started_at) < 2**63
    assert all(0 < blink.started_at <= blink.ended_at < 2**63 for blink in found.blinks)
    assert found.focal is None or 0 < found.focal < np.inf
    return True


def nonsense(draws, file, whole):
    """Other values of a file's own kind, where its kind is known; else its bytes damaged."""
    if draws.random() < 0.5:
        return damaged(draws, whole)
    if file.suffix == ".json":
        said = mutated(draws, json.loads(whole))
        return json.dumps(said).encode("utf-8", "surrogatepass")
    if file.suffix == ".dtype":
        changed = [
            (draws.choice("xyz"), draws.choice(TYPES), *draws.choice([(), ((0,),), ((2,),)]))
        ]
        return repr([*KIND[: draws.randrange(3)], *changed]).encode()
    if file.suffix == ".pldata":
        return repacked(draws, whole)
    return damaged(draws, whole)


def repacked(draws, whole):
    unpacker = msgpack.Unpacker()
    unpacker.feed(whole)
    records = [[topic, msgpack.unpackb(packed)] for topic, packed in unpacker]
    datum = records[draws.randrange(len(records))][1]
    if isinstance(datum, dict):
        datum[draws.choice(list(datum))] = draws.choice([x for x in NUMBERS if x != 2**63])
    return b"".join(msgpack.packb((topic, msgpack.packb(datum))) for topic, datum in records)


@pytest.mark.damaged
@pytest.mark.parametrize("recording", DRAW, indirect=True)
def test_a_damaged_file_is_read_or_refused_in_one_line(recording, request, times_as_many):
    path, files = recording
    whole = {file: file.read_bytes() for file in files}
    draws = random.Random(18)
    count = CASES[request.node.callspec.params["recording"]] * times_as_many
    state = {}

    def cases():
        for _ in range(count):
            state["file"] = draws.choice(files)
            yield nonsense(draws, state["file"], whole[state["file"]])

    def took(content):
        file = state["file"]
        file.write_bytes(content)
        try:
            return parse(path)
        finally:
            file.write_bytes(whole[file])

    taken, refused = attack(took, cases())
    assert taken + refused == count and min(taken, refused) > count / 50


DEEP = (b"[" * 200_000, b'{"a":' * 100_000, b"(" * 200_000, b"\x91" * 200_000, b"9" * 100_000)


@pytest.mark.parametrize("content", [*DEEP, b"", b"\xff" * 9, b"\0" * 4096], ids=lambda c: c[:5])
@pytest.mark.parametrize("recording", DRAW, indirect=True)
def test_nothing_that_is_nested_or_empty_ends_in_a_traceback(recording, content):
    path, files = recording
    for file in files:
        whole = file.read_bytes()
        file.write_bytes(content)
        parse(path)
        file.write_bytes(whole)


@pytest.mark.parametrize("recording", ["core"], indirect=True)
def test_data_within_data_without_end_is_not_readable(recording):
    path, _ = recording
    packed = b"\x01"
    for _ in range(3000):
        packed = msgpack.packb(msgpack.ExtType(13, packed))
    file = path / "gaze.pldata"
    file.write_bytes(file.read_bytes() + msgpack.packb(("gaze", packed)))
    assert parse(path)
