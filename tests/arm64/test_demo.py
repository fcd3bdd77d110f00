"""The demo on an emulated ARM64 processor gives the answers that it gives here."""

import json
import platform
import subprocess
import sys

import pytest
from emulation import ROOT

pytestmark = pytest.mark.arm64
DEMO = ("-m", "runtime.live", "--fast", "--seed", "7", "--record")


def judged(path):
    records = [json.loads(line) for line in path.read_text().splitlines()]
    return [record for record in records if record["kind"] in ("answer", "alert")]


def test_the_demo_answers_as_here(emulated, tmp_path):
    assert platform.machine() != "aarch64", "compares two processors"
    here, there = tmp_path / "here.jsonl", tmp_path / "there.jsonl"
    subprocess.run([sys.executable, *DEMO, here], cwd=ROOT, check=True, capture_output=True)
    ended = emulated.run(*DEMO, there)
    assert ended.returncode == 0, ended.stderr
    ours, theirs = judged(here), judged(there)
    assert len(ours) >= 6
    assert [(r["kind"], r["answer"]) for r in theirs] == [(r["kind"], r["answer"]) for r in ours]
    for one, other in zip(ours, theirs, strict=True):
        assert other["probabilities"] == pytest.approx(one["probabilities"], abs=1e-4)
