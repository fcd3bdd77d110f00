"""The page of checking by hand over TLS, as the page of a run has it."""

import http.client
import json
import re
import shutil
import ssl
from urllib.parse import urlsplit
from urllib.request import urlopen

import pytest
from reviewed_folder import reviewed

from runtime.coding.__main__ import main


def test_a_phone_that_was_handed_the_certificate_corrects_over_tls(
    coding_folder, tmp_path, monkeypatch
):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    out, said = shutil.copytree(coding_folder, tmp_path / "out"), []
    with reviewed(out, "--tls", "auto", address="0.0.0.0:0", said=said) as (address, _):
        parts = urlsplit(address)
        assert parts.scheme == "https"
        beside = urlsplit(re.search(r"trust +(http://\S+)", "".join(said))[1]).port
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        with urlopen(f"http://127.0.0.1:{beside}/authority.crt") as reply:
            context.load_verify_locations(cadata=reply.read())

        def asked(method, path, body=None, **headers):
            https = http.client.HTTPSConnection("127.0.0.1", parts.port, context=context)
            https.request(method, path, body, headers)
            reply = https.getresponse()
            return reply.status, reply.read(), reply.headers["Set-Cookie"]

        assert asked("GET", "/fixations")[0] == 401
        status, _, cookie = asked("GET", f"/?{parts.query}")
        assert status == 303 and "Secure" in cookie
        known = {"Cookie": cookie.partition(";")[0]}
        body = json.dumps({"number": 0, "thing": "teapot"})
        assert asked("POST", "/corrections", body, **known)[0] == 200
        assert (
            json.loads(asked("GET", "/fixations", **known)[1])["fixations"][0]["thing"] == "teapot"
        )


def test_tls_without_a_page_is_one_line(capsys):
    with pytest.raises(SystemExit):
        main(["somewhere", "--out", "there", "--tls", "auto"])
    assert "--tls belongs to --review" in capsys.readouterr().err
