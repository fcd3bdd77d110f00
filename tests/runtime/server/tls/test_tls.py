"""A run over TLS, as a phone meets it: first the certificate, then the page."""

import hashlib
import http.client
import re
import ssl
import subprocess
from urllib.parse import urlsplit
from urllib.request import urlopen

import pytest
from served_run import served

from runtime.errors import RuntimeFault
from runtime.server.addresses import Address
from runtime.server.tls.opening import identity

LOOPBACK = Address("127.0.0.1", 0)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Yields (the port, the token, what was said, where the certificate is)."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("data")))
        said = []
        with served("--tls", "auto", address="0.0.0.0:0", said=said) as (address, _):
            parts = urlsplit(address)
            assert parts.scheme == "https"
            text = "".join(said)
            beside = urlsplit(re.search(r"trust +(http://\S+)", text)[1])
            yield parts.port, parts.query.removeprefix("token="), text, beside.port


@pytest.fixture(scope="module")
def trusting(run):
    """A context that trusts what a phone was handed, and nothing else."""
    with urlopen(f"http://127.0.0.1:{run[3]}/authority.crt") as reply:
        assert reply.headers["Content-Type"] == "application/x-x509-ca-cert"
        held = reply.read()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=held)
    return context, held


def asked(port, path, context, **headers):
    connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=10, context=context)
    try:
        connection.request("GET", path, headers=headers)
        reply = connection.getresponse()
        return reply.status, reply.headers
    finally:
        connection.close()


def test_whoever_trusts_the_certificate_reaches_the_page(run, trusting):
    port, token, _, _ = run
    assert asked(port, "/v1/models", trusting[0])[0] == 401
    assert asked(port, "/v1/models", trusting[0], Authorization=f"Bearer {token}")[0] == 200
    with pytest.raises(ssl.SSLCertVerificationError):
        asked(port, "/", ssl.create_default_context())


def test_the_cookie_travels_over_tls_only(run, trusting):
    status, headers = asked(run[0], f"/?token={run[1]}", trusting[0])
    assert status == 303
    flags = {part.strip() for part in headers["Set-Cookie"].split(";")}
    assert {"Secure", "HttpOnly", "SameSite=Strict"} <= flags


def test_a_page_of_plain_http_is_of_another_site(run, trusting):
    token = {"Authorization": f"Bearer {run[1]}"}
    host = f"127.0.0.1:{run[0]}"
    assert asked(run[0], "/health", trusting[0], Origin=f"http://{host}", **token)[0] == 403
    assert asked(run[0], "/health", trusting[0], Origin=f"https://{host}", **token)[0] in (200, 503)


def test_the_terminal_tells_the_fingerprint_that_the_phone_shows(run, trusting):
    shown = hashlib.sha256(trusting[1]).hexdigest().upper()
    said = re.sub(r"\s", "", run[2])
    assert ":".join(re.findall("..", shown)) in said


def test_nothing_else_is_served_without_tls(run):
    def status(path, **headers):
        connection = http.client.HTTPConnection("127.0.0.1", run[3], timeout=10)
        connection.request("GET", path, headers=headers)
        return connection.getresponse().status

    token = {"Authorization": f"Bearer {run[1]}"}
    found = {path: status(path, **token) for path in ("/v1/models", "/live", "/health", "/events")}
    assert set(found.values()) == {404}
    assert status("/") == 200
    assert status("/", Host="evil.example") == 421
    with urlopen(f"http://127.0.0.1:{run[3]}/") as reply:
        assert run[1] not in reply.read().decode()


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Two pairs, CERT and KEY, made by OpenSSL; the second key is locked."""
    folder = tmp_path_factory.mktemp("files")
    for name, locked in (("one", ["-nodes"]), ("two", ["-passout", "pass:word"])):
        made = [
            "-newkey",
            "rsa:2048",
            "-keyout",
            folder / f"{name}.key",
            "-out",
            folder / f"{name}.crt",
        ]
        named = ["-subj", "/CN=x", "-addext", "subjectAltName=IP:127.0.0.1"]
        subprocess.run(
            ["openssl", "req", "-x509", *made, *named, *locked], check=True, capture_output=True
        )
    return folder


def test_files_of_ones_own_are_shown(files):
    own = str(files / "one.crt"), str(files / "one.key")
    with served("--tls", *own) as (address, _):
        context = ssl.create_default_context(cafile=own[0])
        assert asked(urlsplit(address).port, "/v1/models", context)[0] == 200


@pytest.mark.parametrize(
    ("told", "said"),
    [
        (["one.crt"], "takes the files CERT KEY, or the word auto"),
        (["one.crt", "nowhere.key"], "there is no file"),
        (["one.crt", "two.key"], "is locked by a password"),
        (["two.crt", "one.key"], "do not belong together"),
        (["one.key", "one.key"], "is no PEM"),
    ],
)
def test_files_that_can_not_be_used_are_one_line(files, told, said):
    with pytest.raises(RuntimeFault, match=said):
        identity([str(files / name) for name in told], LOOPBACK)


def test_an_address_that_the_authority_may_not_vouch_for_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    with pytest.raises(RuntimeFault, match="may vouch for"):
        identity(["auto"], Address("8.8.8.8", 0))
