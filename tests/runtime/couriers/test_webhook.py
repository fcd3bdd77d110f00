"""Answers and alerts are POSTed; a receiver that is dead costs the run nothing."""

import asyncio
import json
import socket
import subprocess
import sys

import pytest
from receiving import receiving

from runtime.couriers.courier import Parcel, Refused, Undelivered
from runtime.couriers.webhook import Webhook
from runtime.errors import RuntimeFault

RUN = [sys.executable, "-m", "runtime.live", "--fast", "--seconds", "10"]


def live(*more):
    ended = subprocess.run(
        [*RUN, *more], capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=120
    )
    return ended.returncode, ended.stdout, ended.stderr


def attempt(address, body=b"{}"):
    async def run():
        hook = Webhook("--on-alert", address)
        await hook.open()
        try:
            await hook.carry(Parcel("alert", body, "seven"))
        finally:
            await hook.close()

    asyncio.run(run())


def of_kind(lines, kind):
    return [line for line in lines if json.loads(line)["kind"] == kind]


def answers(lines):
    records = map(json.loads, of_kind(lines, "answer"))
    return [(record["question"], record["answer"], record["probabilities"]) for record in records]


@pytest.fixture(scope="module")
def posted(tmp_path_factory):
    """What was recorded in a run, what was POSTed to its two receivers."""
    recorded = tmp_path_factory.mktemp("posted") / "run.jsonl"
    with receiving() as (answers, answered), receiving() as (alerts, alerted):
        hooks = "--on-answer", f"{answers}/a", "--on-alert", f"{alerts}/b"
        code, said, errors = live(*hooks, "--record", str(recorded))
    assert (code, errors) == (0, ""), said
    return recorded.read_bytes().splitlines(), answered, alerted


def test_a_run_posts_each_record_as_it_writes_it(posted):
    lines, answered, alerted = posted
    assert [body for _, _, body in answered] == of_kind(lines, "answer") != []
    assert [body for _, _, body in alerted] == of_kind(lines, "alert") != []
    assert {path for path, _, _ in answered} == {"/a"}
    assert {path for path, _, _ in alerted} == {"/b"}
    numbers = [headers["Idempotency-Key"] for _, headers, _ in answered + alerted]
    assert len(set(numbers)) == len(numbers)


def test_a_dead_receiver_costs_nothing_but_is_said(posted, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    hook = "--on-answer", f"http://127.0.0.1:{port}/secret"
    code, said, errors = live(*hook, "--record", str(tmp_path / "run.jsonl"))
    assert (code, errors) == (0, "")
    assert f"--on-answer at 127.0.0.1:{port}" in said
    assert "were carried, the others not" in said and "secret" not in said
    assert answers((tmp_path / "run.jsonl").read_bytes().splitlines()) == answers(posted[0])


@pytest.mark.parametrize("status", [200, 201, 204])
def test_any_success_is_one(status):
    with receiving(status) as (address, got):
        attempt(address, b'{"kind":"alert"}')
    ((_, headers, body),) = got
    assert body == b'{"kind":"alert"}'
    assert headers["Content-Type"] == "application/json"
    assert headers["Idempotency-Key"] == "seven"


@pytest.mark.parametrize("status", [408, 425, 429, 500, 503])
def test_what_may_succeed_later_is_undelivered(status):
    with receiving(status) as (address, _), pytest.raises(Undelivered, match=str(status)):
        attempt(address)


@pytest.mark.parametrize("status", [400, 401, 404, 410])
def test_what_will_never_succeed_is_refused(status):
    with receiving(status) as (address, _), pytest.raises(Refused, match=str(status)):
        attempt(address)


def test_no_redirect_is_followed():
    with receiving() as (elsewhere, strayed):
        led = [("Location", elsewhere)]
        with receiving(307, headers=led) as (address, _), pytest.raises(Refused, match="307"):
            attempt(address)
    assert strayed == []


def test_a_receiver_that_never_replies_is_left_after_a_while(monkeypatch):
    monkeypatch.setattr("runtime.couriers.webhook.PATIENCE", 0.1)
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        pytest.raises(Undelivered, match="no reply"),
    ):
        attempt(f"http://127.0.0.1:{silent.getsockname()[1]}")


@pytest.mark.parametrize("address", ["", "ftp://a/b", "localhost:80", "http://", "http://[::1"])
def test_an_address_that_is_none_is_one_line(address):
    with pytest.raises(RuntimeFault, match="should read like http"):
        Webhook("--on-alert", address)
