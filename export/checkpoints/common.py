"""What all checkpoints share: one kind of error, files of tensors only, strict loading, hashes."""

from __future__ import annotations

import hashlib
import io
import json
import warnings
import zipfile
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.serialization import get_unsafe_globals_in_checkpoint

from export import files

NAMED = 4  # names spelled out in a message before the rest is only counted
POINTER = b"version https://git-lfs.github.com/spec/"


class CheckpointError(Exception):
    """A checkpoint can't be used. The message is one line: which file, what is wrong with it."""


def read_tensor_file(path: Path) -> dict[str, object]:
    """Read a PyTorch file that holds tensors and plain values only, on the CPU.

    Tensors are mapped from the file, not read: a file far larger than what is taken from it costs
    nothing. Raises CheckpointError for a file that needs more than tensors (it would run code), is
    damaged, or holds no dictionary.
    """
    if not path.is_file():
        raise CheckpointError(f"{path}: there is no such file")
    refuse_pointer(path)
    archive = zipfile.is_zipfile(path)
    try:
        with warnings.catch_warnings():  # about pickles: what is wrong is said below, in one line
            warnings.simplefilter("ignore")
            content = torch.load(path, map_location="cpu", weights_only=True, mmap=archive)
    except Exception as error:  # a damaged pickle can end in nearly any exception
        raise CheckpointError(f"{path}: {_why_unreadable(path, archive)}") from error
    if not isinstance(content, dict):
        raise CheckpointError(
            f"{path}: not a checkpoint: it holds a {type(content).__name__}, not a dictionary"
        )
    return content


def write_tensor_file(path: Path, content: Mapping[str, object]) -> None:
    """Write what `read_tensor_file` reads. Raises OSError that names the file on a full disk, which
    PyTorch's own writer does not."""
    buffer = io.BytesIO()
    torch.save(dict(content), buffer)
    with files.writing(path) as file:
        file.write(buffer.getbuffer())


def _why_unreadable(path: Path, archive: bool) -> str:
    if archive:
        try:
            unsafe = get_unsafe_globals_in_checkpoint(path)
        except Exception:  # damaged beyond finding out
            unsafe = []
        if unsafe:
            return (
                f"refused, it needs more than tensors ({listed(sorted(unsafe))}) and loading it "
                "could run code: save it again with tensors and plain values only"
            )
    return (
        "not a PyTorch file of tensors only: it is damaged or incomplete, or a pickle that needs "
        "more than tensors"
    )


def refuse_pointer(path: Path) -> None:
    """Raise CheckpointError for what git-lfs leaves where a file was not fetched."""
    try:
        with path.open("rb") as file:
            start = file.read(len(POINTER))
    except OSError as error:
        raise CheckpointError(f"{path}: can't be read: {error.strerror}") from error
    if start == POINTER:
        raise CheckpointError(
            f"{path}: only a pointer of git-lfs, not the file itself: fetch it with git lfs pull"
        )


def refuse_not_finite(name: str, tensor: Tensor, origin: str) -> None:
    """Raise CheckpointError for a tensor with a value that is not finite."""
    if tensor.numel() and not torch.stack(tensor.aminmax()).isfinite().all():
        raise CheckpointError(f"{origin}: {name} has values that are not finite (NaN or infinity)")


def tensors_of(content: Mapping[str, object], key: str, path: Path) -> dict[str, Tensor]:
    """The state dict under `key`; CheckpointError where it is missing or not made of tensors."""
    state = content.get(key)
    if not isinstance(state, Mapping):
        raise CheckpointError(f"{path}: it has no {key!r}, so it is not a checkpoint of this kind")
    for name, tensor in state.items():
        if not isinstance(name, str) or not isinstance(tensor, Tensor):
            raise CheckpointError(f"{path}: {name!r} in {key!r} is not a tensor")
    return dict(state)


def load_strictly(module: nn.Module, state: Mapping[str, Tensor], origin: str) -> None:
    """Fill a module from a state dict that must match it name by name and shape by shape.

    `origin` starts the message of the CheckpointError raised where it doesn't.
    """
    wanted = module.state_dict()
    if missing := [name for name in wanted if name not in state]:
        raise CheckpointError(f"{origin} lacks {listed(missing)}")
    if unknown := [name for name in state if name not in wanted]:
        raise CheckpointError(f"{origin} has tensors of another architecture: {listed(unknown)}")
    for name, tensor in wanted.items():
        if state[name].shape != tensor.shape:
            found, expected = tuple(state[name].shape), tuple(tensor.shape)
            raise CheckpointError(f"{origin} has {name} of shape {found} where {expected} fits")
    module.load_state_dict(state)
    module.eval().requires_grad_(False)


def listed(names: Collection[str]) -> str:
    """The first few names, and how many more there are."""
    shown = ", ".join(list(names)[:NAMED])
    more = len(names) - NAMED
    return f"{shown} and {more} more" if more > 0 else shown


def read_json(path: Path) -> dict[str, Any]:
    """A file's JSON object; CheckpointError where it holds none."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CheckpointError(f"{path}: can't be read: {error.strerror}") from error
    except ValueError as error:
        raise CheckpointError(f"{path}: not valid JSON: {error}") from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{path}: not a JSON object")
    return content


def sha256(path: Path) -> str:
    """The hash of a file, in hexadecimal."""
    try:
        with path.open("rb") as file:
            digest = hashlib.sha256()
            while part := file.read(1 << 20):
                digest.update(part)
            return digest.hexdigest()
    except OSError as error:
        raise CheckpointError(f"{path}: can't be read: {error.strerror}") from error
