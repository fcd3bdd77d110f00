"""Recordings in a zip, as they are downloaded."""

from __future__ import annotations

import shutil
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from devices.device import DeviceError

SPARE = 64 << 20  # bytes of a disk that are left alone


@dataclass(frozen=True, slots=True)
class Unpacked:
    """A temporary folder, which is gone as soon as nothing holds this any more."""

    keeper: tempfile.TemporaryDirectory[str]

    @property
    def folder(self) -> Path:
        """Where the files are."""
        return Path(self.keeper.name)


def unpacked(path: Path) -> Unpacked:
    """Unpack a zip for a while. Raises DeviceError for one that is damaged, locked or too large."""
    try:
        with zipfile.ZipFile(path) as archive:
            needed = sum(entry.file_size for entry in archive.infolist())
            room = shutil.disk_usage(tempfile.gettempdir()).free
            if needed + SPARE > room:
                raise DeviceError(
                    f"{path}: unpacked it takes {needed / 2**30:.1f} GiB, and "
                    f"{tempfile.gettempdir()} has {room / 2**30:.1f}: unpack it yourself and give "
                    "the folder"
                )
            keeper = tempfile.TemporaryDirectory(prefix="recording-")
            archive.extractall(keeper.name)  # never outside of it, whatever names are in there
            return Unpacked(keeper)
    except RuntimeError as error:  # an encrypted entry
        raise DeviceError(f"{path}: the zip is locked by a password: unpack it yourself") from error
    except (zipfile.BadZipFile, EOFError, NotImplementedError, ValueError) as error:
        raise DeviceError(f"{path}: the zip is damaged ({error}): download it again") from error
