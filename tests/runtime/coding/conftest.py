"""What the tests of coding share."""

import pytest
from coded_wearer import coded, draw, things_of


@pytest.fixture(scope="session")
def wearer(tmp_path_factory):
    return draw(tmp_path_factory.mktemp("drawn") / "wearer")


@pytest.fixture(scope="session")
def coding_folder(wearer, tmp_path_factory):
    """All files that a coding with a list of things writes."""
    out = tmp_path_factory.mktemp("coded")
    assert coded(wearer.folder, out, "--things", things_of(wearer), "--bids") == 0
    return out
