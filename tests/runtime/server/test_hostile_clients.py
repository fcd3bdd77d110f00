"""Clients that mean ill or are broken: each is refused, and the run goes on."""

import http.client
import socket
import subprocess
import sys
import time
from urllib.parse import urlsplit

import pytest
from served_run import served


@pytest.fixture(scope="module")
def run():
    with served() as (address, process):
        yield urlsplit(address).port, process


def status(port, method="GET", path="/health", body=None, **headers):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body, named)
        return connection.getresponse().status
    finally:
        connection.close()


UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec_WebSocket_Version": "13",
    "Sec_WebSocket_Key": "AAAAAAAAAAAAAAAAAAAAAA==",
}


@pytest.mark.parametrize("path", ["/", "/live", "/v1/models", "/events"])
def test_another_name_for_this_host_is_refused(run, path):
    assert status(run[0], path=path, Host="evil.example") == 421


def test_another_site_is_refused_also_at_the_websocket(run):
    assert status(run[0], path="/live", Origin="http://evil.example", **UPGRADE) == 403
    own = f"http://127.0.0.1:{run[0]}"
    assert status(run[0], path="/live", Origin=own, **UPGRADE) == 101


def test_a_body_of_a_gigabyte_is_refused_unread(run):
    asked = {"method": "POST", "path": "/v1/chat/completions", "body": b""}
    assert status(run[0], **asked, Content_Length=str(1 << 30)) == 413


def test_a_body_of_unknown_length_is_refused_where_it_becomes_too_large(run):
    pieces = (b" " * (1 << 20) for _ in range(17))
    connection = http.client.HTTPConnection("127.0.0.1", run[0], timeout=20)
    connection.request("POST", "/v1/chat/completions", pieces, encode_chunked=True)
    assert connection.getresponse().status == 413


@pytest.mark.parametrize("body", [b"{", b"[" * 100_000, b"\xff\xfe", b'{"messages": 3}'])
def test_broken_json_is_refused(run, body):
    assert status(run[0], "POST", "/v1/chat/completions", body) == 400


def test_no_path_leads_out_of_the_page(run):
    assert status(run[0], path="/page/..%2Fserver.py") == 404


def test_two_hundred_that_connect_and_vanish_harm_nothing(run):
    for _ in range(200):
        socket.create_connection(("127.0.0.1", run[0])).close()
    time.sleep(1.2)
    assert status(run[0]) == 200


def test_another_address_wants_the_token():
    with served(address="0.0.0.0:0") as (address, _):
        port, query = urlsplit(address).port, urlsplit(address).query
        token = query.removeprefix("token=")
        assert status(port, path="/v1/models") == 401
        assert status(port, path="/?token=wrong") == 401
        assert status(port, path="/v1/models", Authorization=f"Bearer {token}") == 200
        assert status(port, path=f"/?{query}") == 303


def test_a_port_in_use_is_one_line():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = subprocess.run(
            [sys.executable, "-m", "runtime.live", "--serve", f"127.0.0.1:{port}"],
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=60,
        )
    assert ended.returncode == 1
    (line,) = ended.stderr.splitlines()
    assert "can't be served" in line and "--serve" in line
