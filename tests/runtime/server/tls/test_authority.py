"""An authority is made once, and what it signs is believed by OpenSSL, which reads for itself."""

import datetime as dt
import ipaddress
import stat
import subprocess

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from runtime.errors import RuntimeFault
from runtime.server.tls.authority import Authority

NOW = dt.datetime(2030, 5, 1, tzinfo=dt.timezone.utc)
OWN = "203.0.113.9"  # no private network's, as of a machine in a university


@pytest.fixture
def path(tmp_path):
    return tmp_path / "kept" / "authority.pem"


def verified(folder, authority, certificate, *more, at=NOW):
    """What OpenSSL says of a certificate, to one who trusts the authority."""
    (folder / "ca.pem").write_bytes(authority.certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "leaf.pem").write_bytes(certificate)
    command = ["openssl", "verify", "-x509_strict", "-purpose", "sslserver"]
    moment = ["-attime", str(int(at.timestamp())), "-CAfile", str(folder / "ca.pem")]
    ended = subprocess.run(
        [*command, *moment, *more, str(folder / "leaf.pem")], capture_output=True, text=True
    )
    return ended.returncode == 0, ended.stdout + ended.stderr


def test_it_is_made_once_and_for_its_owner_only(path):
    first = Authority.kept(path, NOW, OWN)
    assert Authority.kept(path, NOW + dt.timedelta(days=300), OWN).fingerprint == first.fingerprint
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_whoever_was_faster_with_another_one_is_believed(path):
    Authority.made(NOW, OWN).keep(path)
    first = Authority.kept(path, NOW, OWN)
    Authority.made(NOW, OWN).keep(path)
    assert Authority.kept(path, NOW, OWN).fingerprint == first.fingerprint


@pytest.mark.parametrize(
    ("host", "option"),
    [
        ("192.168.7.9", "-verify_ip"),
        ("10.1.2.3", "-verify_ip"),
        ("fd00::5", "-verify_ip"),
        ("127.0.0.1", "-verify_ip"),
        (OWN, "-verify_ip"),
        ("jetson.local", "-verify_hostname"),
        ("localhost", "-verify_hostname"),
    ],
)
def test_what_it_signs_for_this_network_is_believed(path, tmp_path, host, option):
    authority = Authority.kept(path, NOW, OWN)
    signed = authority.issue([host], NOW)
    assert verified(tmp_path, authority, signed, option, host) == (
        True,
        f"{tmp_path}/leaf.pem: OK\n",
    )
    other = "192.168.7.10" if option == "-verify_ip" else "other.local"
    assert not verified(tmp_path, authority, signed, option, other)[0]


def stolen(host):
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


@pytest.mark.parametrize(
    "host", ["example.com", "8.8.8.8", "203.0.113.10", "localhost.example.com"]
)
def test_it_could_not_sign_for_others_even_if_its_key_were_stolen(
    path, tmp_path, host, monkeypatch
):
    authority = Authority.kept(path, NOW, OWN)
    with pytest.raises(RuntimeFault, match="--tls CERT KEY"):
        authority.issue([host], NOW)
    monkeypatch.setattr(Authority, "_permitted", lambda self, host: stolen(host))
    ok, said = verified(tmp_path, authority, authority.issue([host], NOW))
    assert not ok and "permitted subtree violation" in said


def test_a_certificate_lasts_as_long_as_phones_allow(path, tmp_path):
    authority = Authority.kept(path, NOW, OWN)
    signed = authority.issue(["127.0.0.1"], NOW)
    assert verified(tmp_path, authority, signed, at=NOW - dt.timedelta(hours=20))[0]
    assert verified(tmp_path, authority, signed, at=NOW + dt.timedelta(days=380))[0]
    assert not verified(tmp_path, authority, signed, at=NOW + dt.timedelta(days=398))[0]


@pytest.mark.parametrize("damage", [b"", b"nothing", b"-----BEGIN PRIVATE KEY-----\n"])
def test_a_damaged_one_is_one_line(path, damage):
    path.parent.mkdir()
    path.write_bytes(damage)
    with pytest.raises(RuntimeFault, match="damaged: remove it"):
        Authority.kept(path, NOW, OWN)
    assert path.read_bytes() == damage


def test_one_that_is_too_old_is_one_line(path):
    Authority.kept(path, NOW, OWN)
    with pytest.raises(RuntimeFault, match="too old: remove it"):
        Authority.kept(path, NOW + dt.timedelta(days=4000), OWN)
