"""A real mosquitto is told of answers and alerts, and of the end."""

import json
import shutil
import socket
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest

from runtime.couriers.broker import Broker
from runtime.errors import RuntimeFault

mosquitto = shutil.which("mosquitto", path="/usr/sbin:/usr/bin:/usr/local/sbin")
needs_broker = [
    pytest.mark.broker,
    pytest.mark.skipif(
        not (mosquitto and shutil.which("mosquitto_sub")),
        reason="needs Debian's mosquitto and mosquitto-clients",
    ),
]


def brokered(test):
    for mark in needs_broker:
        test = mark(test)
    return test


@pytest.fixture
def port():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


@contextmanager
def broker(port, folder, *more):
    settings = folder / "mosquitto.conf"
    settings.write_text("\n".join([f"listener {port} 127.0.0.1", "persistence false", *more]))
    process = subprocess.Popen(
        [mosquitto, "-c", str(settings)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except OSError:
                time.sleep(0.05)
        yield process
    finally:
        process.terminate()
        process.wait(5)


@contextmanager
def subscribed(port, topic, *more):
    """Yields a function that ends the subscription and returns (topic, payload), as they came."""
    command = ["mosquitto_sub", "-h", "127.0.0.1", "-p", str(port), "-t", topic, "-q", "1"]
    process = subprocess.Popen([*command, "-v", *more], stdout=subprocess.PIPE, text=True)

    def got():
        process.terminate()
        lines, _ = process.communicate(timeout=5)
        return [tuple(line.split(" ", 1)) for line in lines.splitlines()]

    try:
        time.sleep(0.5)
        yield got
    finally:
        process.kill()
        process.wait()


def live(*more, seconds="10"):
    command = [sys.executable, "-m", "runtime.live", "--fast", "--seconds", seconds, *more]
    return subprocess.run(
        command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=120
    )


@brokered
def test_a_run_publishes_each_record_and_says_when_it_is_there(port, tmp_path):
    with broker(port, tmp_path, "allow_anonymous true"), subscribed(port, "lab/#") as got:
        address = f"mqtt://127.0.0.1:{port}/lab/glasses"
        ended = live("--mqtt", address, "--record", str(tmp_path / "run.jsonl"))
        published = got()
    assert (ended.returncode, ended.stderr) == (0, ""), ended.stdout
    status = [payload for topic, payload in published if topic == "lab/glasses/status"]
    assert status == ["online", "offline"]
    recorded = (tmp_path / "run.jsonl").read_text().splitlines()
    for kind in ("answer", "alert"):
        lines = [line for line in recorded if json.loads(line)["kind"] == kind]
        assert [p for topic, p in published if topic == f"lab/glasses/{kind}"] == lines != []


@brokered
def test_a_run_that_is_killed_is_known_to_be_offline(port, tmp_path):
    with broker(port, tmp_path, "allow_anonymous true"), subscribed(port, "gazeqwen/status") as got:
        run = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "runtime.live",
                "--no-serve",
                "--mqtt",
                f"mqtt://127.0.0.1:{port}",
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )
        next(line for line in run.stdout if line.startswith("watching"))
        time.sleep(0.5)
        run.kill()
        run.communicate()
        time.sleep(0.5)
        assert [payload for _, payload in got()] == ["online", "offline"]


@brokered
def test_who_is_told_shows_a_name_and_a_password(port, tmp_path):
    (tmp_path / "who").write_text("wearer:se/cret\n")
    (tmp_path / "who").chmod(0o600)
    made = shutil.which("mosquitto_passwd")
    subprocess.run([made, "-U", str(tmp_path / "who")], check=True)
    (tmp_path / "who").chmod(0o644)
    settings = "allow_anonymous false", f"password_file {tmp_path / 'who'}", "user root"
    with broker(port, tmp_path, *settings):
        wrong = live("--mqtt", f"mqtt://wearer:wrong@127.0.0.1:{port}", seconds="3")
        right = live("--mqtt", f"mqtt://wearer:se%2Fcret@127.0.0.1:{port}", seconds="3")
    assert (wrong.returncode, right.returncode) == (0, 0)
    assert "not authori" in wrong.stdout.lower() and "not authori" not in right.stdout.lower()
    assert "wrong@" not in wrong.stdout + wrong.stderr


def test_a_broker_that_is_not_there_costs_nothing_but_is_said(port):
    ended = live("--mqtt", f"mqtt://127.0.0.1:{port}", seconds="3")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert f"--mqtt at 127.0.0.1:{port}" in ended.stdout
    assert "it is tried again" in ended.stdout


@pytest.mark.parametrize("address", ["", "http://a", "mqtt://", "localhost", "mqtt://a:b"])
def test_an_address_that_is_none_is_one_line(address):
    with pytest.raises(RuntimeFault, match="should read like mqtt"):
        Broker(address)


@pytest.mark.parametrize("topic", ["a/+/b", "%23"])
def test_a_topic_that_only_subscribers_may_name_is_refused(topic):
    with pytest.raises(RuntimeFault, match="nothing can be published"):
        Broker(f"mqtt://127.0.0.1/{topic}")
