"""How much of a session that was cut off can be played."""

from __future__ import annotations

from pathlib import Path

import av

from devices.containers.opening import open_container
from devices.device import DeviceError
from devices.session.lines import FRAMES, LINES, FrameLine, read_batches


def held_frames(folder: Path) -> int:
    """Frames whose lines and whose pixels are both in the files."""
    return min(_in_lines(folder), _in_video(folder / FRAMES))


def _in_lines(folder: Path) -> int:
    if not (folder / LINES).is_file():
        return 0
    count = 0
    try:
        for batch in read_batches(folder):
            count += sum(isinstance(each, FrameLine) and each.saved for each in batch.samples)
    except DeviceError:
        return count
    return count


def _in_video(path: Path) -> int:
    """By its packets, each a frame; nothing is decoded."""
    count = 0
    try:
        with open_container(path) as container:
            for packet in container.demux(video=0):
                count += bool(packet.size) and not packet.is_corrupt
    except (OSError, ValueError, IndexError, av.FFmpegError):
        return count
    return count
