"""Files that can't grow any further: said in one line, and nothing that was written is spoiled.

The limit of the shell on a file's size stands in for the full disk.
"""

import json
import re
import shlex
import subprocess
import sys

from drawn_streamgaze import choice, draw_set

from devices.session.device import SessionDevice


def run_limited(kibibytes, *command):
    """A module in a process whose files hold so much: its status, output and errors."""
    line = shlex.join([sys.executable, "-m", *map(str, command)])
    return subprocess.run(
        ["bash", "-c", f"ulimit -f {kibibytes}; exec {line}"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )


def frames_played(folder):
    device = SessionDevice(folder, fast=True)
    with device:
        while not device.poll().ended:
            device.clock.sleep_until(0)
    return device.counts().frames.delivered


def test_a_session_that_can_not_grow_does_not_end_the_run_and_says_what_it_holds(tmp_path):
    watched = ["--fast", "--seconds", 5, "--session", tmp_path / "s"]
    ended = run_limited(300, "runtime.live", *watched)
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"error: --session {tmp_path / 's'}: ")
    assert ended.stderr.count("\n") == 1
    assert ended.stdout.count("could not be saved any further") == 1
    assert "5.0 s: " in ended.stdout
    announced = re.search(r"s: (\d+) frames, ", ended.stdout)
    assert 0 < frames_played(tmp_path / "s") == int(announced[1]) < 150


def test_records_that_can_not_grow_do_not_end_the_run(tmp_path):
    path = tmp_path / "out.jsonl"
    ended = run_limited(1, "runtime.live", "--fast", "--seconds", 5, "--record", path)
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"error: --record {path}: ")
    assert ended.stderr.count("\n") == 1
    assert "5.0 s: " in ended.stdout
    *whole, _ = path.read_text().split("\n")
    assert all(json.loads(line)["kind"] for line in whole)


def test_an_evaluation_goes_on_when_there_is_room_again(tiny_folder, tmp_path):
    tasks = {"past_scene_recall": [("one", [choice(second) for second in range(1, 9)])]}
    data = draw_set(tmp_path / "set", {"one": 9}, tasks)
    options = data.options("--bundle", tiny_folder, "--out", tmp_path / "run")
    ended = run_limited(4, "benchmarks.streamgaze", *options)
    assert ended.returncode == 1
    assert ended.stderr.startswith("error: ") and ended.stderr.count("\n") == 1
    assert "the same command goes on" in ended.stderr
    before = (tmp_path / "run" / "results.jsonl").read_text().splitlines()[:-1]
    assert 1 <= len(before) < 8
    assert run_limited(4000, "benchmarks.streamgaze", *options).returncode == 0
    after = (tmp_path / "run" / "results.jsonl").read_text().splitlines()
    assert after[: len(before)] == before and len(after) == 8
