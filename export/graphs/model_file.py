"""A graph as a file, its weights beside it."""

from __future__ import annotations

from pathlib import Path

import onnx

from export import files

INLINE = 1024  # bytes of a weight that stays in the graph's file


def save_model(model: onnx.ModelProto, path: Path) -> None:
    """Write the graph to `path` and its weights to `<name>.data` beside it.

    Raises OSError with the name of the weights' file.
    """
    data = path.with_name(f"{path.name}.data")
    data.unlink(missing_ok=True)
    with files.named(data):
        onnx.save_model(
            model, path, save_as_external_data=True, location=data.name, size_threshold=INLINE
        )
    data.chmod(path.stat().st_mode)  # onnx makes it readable by its owner only
