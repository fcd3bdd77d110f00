"""Inputs elsewhere: in fsspec's memory, and at a web server on loopback."""

import pytest
from elsewhere import in_memory, on_the_web


@pytest.fixture(params=["memory", "web"])
def put(request):
    """Puts a folder somewhere; gives the URL of a folder."""
    pytest.importorskip("fsspec", reason="needs the extra 'url'")
    place = in_memory if request.param == "memory" else on_the_web
    with place() as putting:
        yield putting
