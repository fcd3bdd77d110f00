"""Addresses as people write them."""

import pytest

from devices.address import in_url, split_address
from devices.device import DeviceError


@pytest.mark.parametrize(
    ("written", "host", "port", "url"),
    [
        ("192.168.1.5", "192.168.1.5", 8080, "192.168.1.5"),
        ("neon.local:8081", "neon.local", 8081, "neon.local"),
        ("[::1]:8081", "::1", 8081, "[::1]"),
        ("[fe80::1%eth0]", "fe80::1%eth0", 8080, "[fe80::1%eth0]"),
        ("::1", "::1", 8080, "[::1]"),
        ("2001:db8::5", "2001:db8::5", 8080, "[2001:db8::5]"),
    ],
)
def test_host_and_port_are_told_apart(written, host, port, url):
    assert split_address(written, 8080) == (host, port)
    assert in_url(host) == url


@pytest.mark.parametrize(
    "written",
    [
        "",
        ":80",
        "host:",
        "host:0",
        "host:70000",
        "host:x",
        "[::1",
        "[]:80",
        "[::1]80",
        "[::1]:",
        "::1]:80",
        "host:٣",
    ],
)
def test_what_is_no_address_is_said_with_an_example(written):
    with pytest.raises(DeviceError, match=r"should read like 192\.168\.1\.5, .* or \[::1\]:8080"):
        split_address(written, 8080)
