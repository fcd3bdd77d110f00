"""A run outlives whoever reads it: a lost terminal, a reader that leaves, a full disk."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress

import pytest

from runtime.run.interruption import Interruption

LIVE = [sys.executable, "-m", "runtime.live"]


def is_whole(path):
    records = [json.loads(line) for line in path.read_text().splitlines()]
    return path.read_text().endswith("\n") and records[-1]["kind"] == "summary"


def test_a_hang_up_ends_a_run_as_being_asked_to_does_though_nobody_reads_it(tmp_path):
    """A terminal that is lost hangs up more than once, and takes the output with it."""
    out = tmp_path / "out.jsonl"
    reader, writer = os.pipe()
    options = ["--device", "synthetic", "--record", str(out), "--session", str(tmp_path / "s")]
    # Whoever runs these tests may be deaf to it, and so would be what they begin.
    process = subprocess.Popen(
        [*LIVE, *options],
        stdin=subprocess.DEVNULL,
        stdout=writer,
        stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),
    )
    os.close(reader)
    os.close(writer)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and not (out.is_file() and out.read_bytes().count(b"\n")):
        time.sleep(0.05)
    process.send_signal(signal.SIGHUP)
    time.sleep(0.02)
    if process.poll() is None:
        process.send_signal(signal.SIGHUP)
    _, errors = process.communicate(timeout=120)
    assert (process.returncode, errors) == (0, b"")
    assert is_whole(out)
    summary = json.loads(out.read_text().splitlines()[-1])
    assert summary["ended_at"] - summary["started_at"] < 20 * 10**9, "it ran to its own end, 30 s"
    assert (tmp_path / "s" / "samples.jsonl").read_bytes().endswith(b"\n")


@pytest.mark.parametrize(
    ("redirected", "status", "complaints"),
    [("> /dev/full", 1, 1), ("<&- >&- 2>&-", 0, 0)],
)
def test_a_run_goes_on_without_an_output(tmp_path, redirected, status, complaints):
    out = tmp_path / "out.jsonl"
    command = f'exec "$0" -m runtime.live --fast --seconds 3 --record {out} {redirected}'
    ended = subprocess.run(
        ["bash", "-c", command, sys.executable], capture_output=True, text=True, timeout=240
    )
    assert ended.returncode == status
    assert is_whole(out)
    assert ended.stderr.count("\n") == complaints
    assert complaints == 0 or "No space left" in ended.stderr


def test_a_run_does_not_wait_for_a_terminal_that_is_halted(tmp_path):
    """Ctrl-S, or a pager that shows its first page: what is printed finds no room."""
    out = tmp_path / "out.jsonl"
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with suppress(BlockingIOError):
        while True:
            os.write(writer, b"." * 4096)
    os.set_blocking(writer, True)
    command = [*LIVE, "--fast", "--seconds", "3", "--record", str(out)]
    ended = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=writer, stderr=subprocess.PIPE, timeout=240
    )
    os.close(reader)
    os.close(writer)
    assert is_whole(out)
    assert ended.returncode == 1
    said = ended.stderr.decode()
    assert said.count("\n") == 1 and "standard output: nobody reads it" in said


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_first_signal_is_noted_and_the_second_acts_as_before(number):
    heard = []
    before = signal.signal(number, lambda *_: heard.append(number))
    try:
        with Interruption() as interruption:
            assert not interruption.came
            signal.raise_signal(number)
            assert interruption.came and not heard
            signal.raise_signal(number)
            assert heard == ([] if number == signal.SIGHUP else [number])
    finally:
        signal.signal(number, before)


def test_a_run_that_was_begun_not_to_hear_of_a_hang_up_does_not():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Interruption() as interruption:
            signal.raise_signal(signal.SIGHUP)
            assert not interruption.came
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
