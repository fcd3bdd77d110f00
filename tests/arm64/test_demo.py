"""The demo on an emulated ARM64 processor gives the answers that it gives here.

Pictures drawn there differ from those drawn here in single grey levels: the drawing library rounds
otherwise. So what the model makes of them is compared on the demo's stream as it was saved here.
"""

import json
import platform
import subprocess
import sys

import pytest
from emulation import ROOT

pytestmark = pytest.mark.arm64
DEMO = ("-m", "runtime.live", "--fast", "--no-serve", "--record")
DRAWN = ("--seed", "7")


def judged(path):
    records = [json.loads(line) for line in path.read_text().splitlines()]
    return [record for record in records if record["kind"] in ("answer", "alert")]


def here(*arguments):
    command = [sys.executable, *map(str, arguments)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)


def there(emulated, *arguments):
    assert platform.machine() != "aarch64", "compares two processors"
    ended = emulated.run(*arguments)
    assert ended.returncode == 0, ended.stderr


def test_the_demos_stream_is_answered_as_here(emulated, tmp_path):
    session = tmp_path / "session"
    here(*DEMO, tmp_path / "drawn.jsonl", *DRAWN, "--seconds", "16", "--session", session)
    played = "--device", "session", "--path", session
    here(*DEMO, tmp_path / "here.jsonl", *played)
    there(emulated, *DEMO, tmp_path / "there.jsonl", *played)
    ours, theirs = judged(tmp_path / "here.jsonl"), judged(tmp_path / "there.jsonl")
    assert len(ours) >= 3
    assert [(r["kind"], r["answer"]) for r in theirs] == [(r["kind"], r["answer"]) for r in ours]
    for one, other in zip(ours, theirs, strict=True):
        assert other["probabilities"] == pytest.approx(one["probabilities"], abs=1e-4)


def test_it_draws_and_answers_by_itself(emulated, tmp_path):
    some = *DRAWN, "--seconds", "8"
    here(*DEMO, tmp_path / "here.jsonl", *some)
    there(emulated, *DEMO, tmp_path / "there.jsonl", *some)
    ours, theirs = judged(tmp_path / "here.jsonl"), judged(tmp_path / "there.jsonl")
    assert len(ours) >= 1
    assert [(r["kind"], r["answer"]) for r in theirs] == [(r["kind"], r["answer"]) for r in ours]
