"""`python -m runtime.live` as a person runs it: recordings in, answers and records out."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
from drawn_recording import START, Span, draw_cloud, draw_neon

from runtime.live import main

SECOND = 1_000_000_000


def live(bundle, path, *more, device="recording"):
    return main(["--bundle", str(bundle), "--device", device, "--path", str(path), *more])


def records_of(path, kind="answer"):
    records = [json.loads(line) for line in path.read_text().splitlines()]
    return [record for record in records if record["kind"] == kind]


def error_of(status, capsys):
    assert status == 1
    errors = capsys.readouterr().err
    assert "Traceback" not in errors
    (line,) = [line for line in errors.splitlines() if line]
    assert line.startswith("error: ")
    return line


def test_answers_from_a_real_recording_in_real_time(tiny_folder, shared_data, tmp_path, capsys):
    out = tmp_path / "answers.jsonl"
    recording = shared_data / "neon-recording"
    question = ["--ask", "What am I looking at?", "--at", "3"]
    assert live(tiny_folder, recording, *question, "--record", str(out)) == 0
    (record,) = records_of(out)
    start = record["context_start"]
    assert record["asked_at"] - start == 3 * SECOND
    assert record["answer"] is not None
    assert 0 <= record["frame_age_ms"] <= 34
    assert 0 <= record["gaze_age_ms"] <= 20
    assert [fixation for fixation in record["fixations"] if fixation["step"] >= 1]
    for fixation in record["fixations"]:
        assert 0 < fixation["x"] < 1 and 0 < fixation["y"] < 1
        assert start < fixation["start"] < record["asked_at"]
    assert record["frames"]["received"] >= 90
    assert record["gaze"]["received"] >= 300
    printed = capsys.readouterr().out
    assert "random" in printed and "ms old" in printed


@pytest.mark.long
def test_gaze_changes_what_a_real_recording_is_answered(tiny_folder, shared_data, tmp_path):
    recording = shared_data / "neon-recording"
    ask = ["--fast", "--ask", "What is it?", "--options", "cup", "knife", "--at", "3"]
    found = {}
    for gaze in ("yes", "none"):
        out = tmp_path / f"{gaze}.jsonl"
        assert live(tiny_folder, recording, *ask, "--gaze", gaze, "--record", str(out)) == 0
        (found[gaze],) = records_of(out)
    assert found["yes"]["steps"] == found["none"]["steps"]
    assert found["none"]["fixations"] == []
    differences = [
        abs(found["yes"]["probabilities"][letter] - found["none"]["probabilities"][letter])
        for letter in "AB"
    ]
    assert max(differences) > 1e-4


@pytest.mark.parametrize("rule", ["adaptive", "velocity", "dispersion", "device"])
@pytest.mark.parametrize("protocol", ["causal", "released"])
def test_every_rule_and_protocol_answers(tiny_folder, tmp_path, rule, protocol):
    seen = Span(START + SECOND // 5, START + SECOND, mean=(16, 12))
    recording = draw_cloud(tmp_path / "cloud", frames=60, gaze=400, fixations=(seen,)).path
    out = tmp_path / "out.jsonl"
    options = ["--fast", "--fixations", rule, "--protocol", protocol, "--record", str(out)]
    assert live(tiny_folder, recording, *options, "--ask", "What?", "--options", "a", "b") == 0
    (record,) = records_of(out)
    assert record["protocol"] == protocol
    assert record["answer"] in "ABCD"


def test_a_tracker_without_fixations_of_its_own_is_one_line(tiny_folder, tmp_path, capsys):
    recording = draw_cloud(tmp_path / "cloud").path
    ask = ["--ask", "What?", "--options", "a", "b"]
    assert live(tiny_folder, recording, "--fast", "--fixations", "device", *ask) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "--fixations adaptive" in error


def test_several_questions_at_their_times(tiny_folder, tmp_path):
    recording = draw_neon(tmp_path / "neon", parts=(75,), gaze=500).path
    out = tmp_path / "out.jsonl"
    asked = [("second", "2"), ("first", "0.5"), ("last", None)]
    arguments = []
    for text, at in asked:
        arguments += ["--ask", text, "--options", "x", "y", *(["--at", at] if at else [])]
    assert live(tiny_folder, recording, "--fast", *arguments, "--record", str(out)) == 0
    records = records_of(out)
    assert [record["question"] for record in records] == ["first", "second", "last"]
    offsets = [record["asked_at"] - records[0]["context_start"] for record in records]
    assert offsets[:2] == [SECOND // 2, 2 * SECOND]


def test_real_time_and_fast_give_the_same_records(tiny_folder, tmp_path):
    recording = draw_neon(tmp_path / "neon", parts=(45,), gaze=300).path
    ask = ["--ask", "What?", "--options", "x", "y", "--at", "1.2"]
    found = []
    for pace in ([], ["--fast"]):
        out = tmp_path / f"{len(pace)}.jsonl"
        assert live(tiny_folder, recording, *pace, *ask, "--record", str(out)) == 0
        (record,) = records_of(out)
        exact = ("probabilities", "steps", "fixations", "gaze_at", "frame_at", "asked_at")
        found.append({name: record[name] for name in exact})
    assert found[0] == found[1]


def test_unknown_facts_are_null(tiny_folder, tmp_path):
    recording = draw_neon(tmp_path / "neon", parts=(30,), gaze=200).path
    out = tmp_path / "out.jsonl"
    assert live(tiny_folder, recording, "--fast", "--ask", "x", "--record", str(out)) == 0
    (record,) = records_of(out)
    assert record["truth"] is None and record["probabilities"] is None


@pytest.mark.parametrize("at", ["1.5", "99"])
def test_a_time_outside_the_recording(tiny_folder, tmp_path, capsys, at):
    recording = draw_neon(tmp_path / "neon", parts=(30,), gaze=200).path
    status = live(tiny_folder, recording, "--fast", "--ask", "x", f"--at={at}")
    assert "outside what is watched" in error_of(status, capsys)


def test_unknown_device(tiny_folder, tmp_path, capsys):
    line = error_of(live(tiny_folder, tmp_path, device="glasses"), capsys)
    assert "unknown device 'glasses'" in line and "recording" in line


def test_recording_without_gaze_or_of_another_time(tiny_folder, tmp_path, capsys):
    status = live(tiny_folder, draw_neon(tmp_path / "none", gaze=0).path, "--ask", "x")
    assert "gaze" in error_of(status, capsys)
    recording = draw_neon(tmp_path / "other", parts=(30,), gaze=200).path
    times = np.fromfile(recording / "gaze ps1.time", np.int64) + 3600 * SECOND
    times.tofile(recording / "gaze ps1.time")
    assert "overlap" in error_of(live(tiny_folder, recording, "--ask", "x"), capsys)


@pytest.mark.parametrize("protocol", ["causal", "released"])
def test_what_is_lost_of_a_recording_is_said_under_every_protocol(
    tiny_folder, tmp_path, capsys, protocol
):
    recording = draw_neon(tmp_path / "rec", parts=(30,)).path
    raw = recording / "gaze ps1.raw"
    raw.write_bytes(raw.read_bytes()[:-3])
    asked = ["--protocol", protocol, "--fast", "--ask", "x"]
    assert live(tiny_folder, recording, *asked) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert shown.count("1 of 200 gaze samples left out") == 1
    assert "--strict" in error_of(live(tiny_folder, recording, *asked, "--strict"), capsys)


def test_altered_bundle(tiny_folder, tmp_path, capsys):
    bundle = shutil.copytree(tiny_folder, tmp_path / "bundle")
    (bundle / "vjepa.onnx").write_bytes(b"not a graph")
    assert "vjepa.onnx" in error_of(live(bundle, tmp_path, "--ask", "x"), capsys)


def test_record_that_cannot_be_written(tiny_folder, tmp_path, capsys):
    recording = draw_neon(tmp_path / "neon", parts=(30,), gaze=200).path
    status = live(tiny_folder, recording, "--ask", "x", "--record", str(tmp_path))
    assert "--record" in error_of(status, capsys)


def test_released_needs_a_recording_and_options_need_a_question(tiny_folder, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--bundle", str(tiny_folder), "--device", "recording", "--at", "3"])
    assert ended.value.code == 2
    assert "--ask" in capsys.readouterr().err


def test_importing_the_loop_pulls_neither_torch_nor_pandas():
    script = "import sys, runtime.live; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    roots = {name.split(".")[0] for name in done.stdout.split()}
    assert not roots & {"torch", "transformers", "pandas", "peft", "export"}
