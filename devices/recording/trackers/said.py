"""JSON files that come with a recording."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

MOST_BYTES = 1 << 24


def read_said(path: Path) -> Any:  # noqa: ANN401 - whatever it says
    """What a JSON file says. Raises OSError, and ValueError for whatever makes it none."""
    if path.stat().st_size > MOST_BYTES:
        raise ValueError(f"more than {MOST_BYTES >> 20} MiB")
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except RecursionError as error:
        raise ValueError("nested without end") from error
