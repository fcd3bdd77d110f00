"""Opens containers of pictures and sound, whoever wrote them."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import av
from av.container import InputContainer


def open_container(source: Path | BytesIO) -> InputContainer:
    """Open to read; tags that are no text are no reason to refuse it. Raises av.FFmpegError."""
    file = str(source) if isinstance(source, Path) else source
    return av.open(file, metadata_errors="replace")
