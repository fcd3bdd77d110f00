"""An export that is killed, runs out of disk, and whose files are harmed: it ends as if never."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from runtime.bundle.names import MANIFEST_FILE

PROGRAM = Path(__file__).with_name("ended_exports.py")
pytestmark = pytest.mark.long


@pytest.fixture
def ended(tiny_folder, tmp_path):
    """Run the same export with several ends; what came of each, and the folder."""
    shutil.copytree(tiny_folder.with_name("tiny-checkpoints"), tmp_path / "tiny-checkpoints")
    out = tmp_path / "tiny"
    command = ["--random", "tiny", "--seed", "3", "--quant", "float32", "--out", str(out)]

    def run(*ends):
        ran = subprocess.run(
            [sys.executable, PROGRAM, json.dumps(ends), *command],
            capture_output=True,
            text=True,
            timeout=300,
            env={**os.environ, "PYTHONPATH": str(PROGRAM.parents[2])},  # threads, too, as here
        )
        assert ran.returncode == 0, ran.stderr[-2000:]
        return json.loads(ran.stdout)

    return run, out


def test_whatever_happens_the_same_command_makes_the_same_bundle(ended, tiny_folder):
    run, out = ended
    out.mkdir()
    shutil.copyfile(tiny_folder / MANIFEST_FILE, out / MANIFEST_FILE)
    begun, full, killed, interrupted, signed, whole = run(
        {"kill_at": ["export.unfinished.json.writing", 3]},
        {"limit": 1_200_000},
        {"kill_at": ["decoder.onnx.kept.writing", 3]},
        {
            "interrupt_at": ["embeddings.npy.writing", 1],
            "damage": {"decoder.onnx.data": "append", "vision.onnx.data": "flip"},
        },
        {"kill_at": ["bundle.json", 1], "damage": {"decoder.onnx": "delete"}},
        {"damage": {"vision.onnx": "cut", "tokenizer.json": "flip"}},
    )
    for end in (begun, killed, signed):
        assert (end["status"], end["said"]) == (-signal.SIGKILL, [])
    assert [end["manifest"] for end in (begun, full, killed, interrupted)] == [False] * 4
    assert full["status"] == 1
    assert full["said"] == [f"error: {out}/vision.onnx.data: File too large"]
    assert graphs(full) == {"vision"}  # what was finished before stays as it is
    assert graphs(killed) == {"vision", "decoder"}
    assert interrupted["status"] == 1
    assert interrupted["said"] == [f"interrupted: {out} is no bundle yet; the same command goes on"]
    assert graphs(interrupted) == {"vision", "decoder"}
    assert graphs(signed) == {"decoder"}
    assert (whole["status"], whole["said"]) == (0, [])
    assert graphs(whole) == {"vision"}
    assert {"tokenizer.json", "embeddings.npy", MANIFEST_FILE} <= set(whole["written"])
    names = {path.name for path in tiny_folder.iterdir()}
    assert {path.name for path in out.iterdir()} == names
    for name in names:
        assert (out / name).read_bytes() == (tiny_folder / name).read_bytes(), name


def graphs(end):
    return {name.split(".onnx")[0] for name in end["written"] if ".onnx" in name}
