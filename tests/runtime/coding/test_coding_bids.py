"""The BIDS validator of npm on a coding's data set."""

import json
import shutil
import subprocess

import pytest

VALIDATOR = shutil.which("bids-validator")
# That validator stands still: the suffix came into BIDS with 1.11, after its last version.
NOT_KNOWN_YET = "_physioevents."


@pytest.mark.bids
@pytest.mark.skipif(VALIDATOR is None, reason="no bids-validator: npm install -g bids-validator")
def test_the_validator_finds_nothing_but_what_is_newer_than_itself(coding_folder):
    ended = subprocess.run(
        [VALIDATOR, "--json", str(coding_folder / "bids")], capture_output=True, text=True
    )
    issues = json.loads(ended.stdout)["issues"]
    wrong = [
        (error["key"], file["file"]["name"])
        for error in issues["errors"]
        for file in error["files"]
        if NOT_KNOWN_YET not in file["file"]["name"]
    ]
    assert wrong == []
    assert json.loads(ended.stdout)["summary"]["subjects"] == ["wearer"]
