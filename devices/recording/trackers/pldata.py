"""Pupil Core's data files: msgpack records, each a topic and a packed datum."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from devices.device import DeviceError
from devices.recording.tally import Tally

Datum = Mapping[str, Any]
MOST_PARTS = 16  # of a record, which has two: room is made for as many as it claims to have


def read_data(path: Path, noun: str, tally: Tally) -> list[Datum]:
    """All data of a file; of one that was cut off, those before. Raises DeviceError."""
    data: list[Datum] = []
    broken = 0
    records = _records(path)
    while True:
        try:
            datum = next(records)
        except StopIteration:
            break
        except _CutOff:
            tally.expect(noun, 1)
            tally.leave_out(noun, f"cut off at the end of {path.name}", 1)
            break
        if isinstance(datum, Mapping):
            data.append(datum)
        else:
            broken += 1
    tally.expect(noun, len(data) + broken)
    tally.leave_out(noun, f"not readable in {path.name}", broken)
    return data


class _CutOff(Exception):
    """The file ends within a record, or goes on with something else."""


def _records(path: Path) -> Iterator[object]:
    try:
        import msgpack

        from devices.messagepack.packed import unpacked
    except ImportError as error:
        raise DeviceError(
            f"{path}: reading Pupil Core's recordings needs the extra 'core': "
            "pip install 'gazeqwen-edge[core]'"
        ) from error

    def left_packed(code: int, packed: bytes) -> None:
        """What a datum was computed from is packed in it; nobody asks, and it may have no end."""

    size = path.stat().st_size
    with path.open("rb") as file:
        unpacker = msgpack.Unpacker(file, max_buffer_size=max(size, 1), max_array_len=MOST_PARTS)
        while True:
            try:
                record = unpacker.unpack()
            except msgpack.OutOfData:
                if unpacker.tell() < size:
                    raise _CutOff from None
                return
            except ValueError as error:
                raise _CutOff from error
            try:
                _, packed = record
                yield unpacked(packed, ext_hook=left_packed)
            except (ValueError, TypeError):
                yield None
