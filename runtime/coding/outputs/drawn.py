"""A coding for Rerun: gaze, the frames that fixations were decided on, and their things."""

from __future__ import annotations

import numpy as np

from devices.device import DeviceError
from devices.recording.video import VideoCursor
from devices.samples import SceneFrame
from runtime.coding.results import Coding
from runtime.viewer.drawing import Drawing, Look, open_stream


def draw_coding(coding: Coding, target: str) -> None:
    """Draw one recording; `target`: a new file, or "connect". Raises RuntimeFault."""
    read = coding.source.read
    drawing = Drawing(open_stream(target), read.video.width, read.video.height)
    for index in range(read.gaze.times.size):
        drawing.gaze(read.gaze.sample(index))
    for each in coding.fixations:
        row, code = each.row, each.code
        drawing.fixations(row.started_at, (row.fixation(),))
        drawing.fixations(row.ended_at, ())
        confidence = 1.0 if each.is_corrected else code.confidence or 0.0
        name = each.thing or ("" if code.trouble is None else f"({code.trouble})")
        drawing.look(Look(row.started_at, row.x, row.y, name, confidence))
    _draw_frames(coding, drawing)
    drawing.close()


def _draw_frames(coding: Coding, drawing: Drawing) -> None:
    read = coding.source.read
    moments = {each.code.frame_at for each in coding.fixations if each.code.frame_at is not None}
    cursor = VideoCursor(read.video)
    try:
        for at in sorted(moments):
            index = int(np.searchsorted(read.frame_times, at, side="right")) - 1
            pixels = cursor.read(index)
            if pixels is not None:
                drawing.frame(SceneFrame(at, at, index, pixels))
    except DeviceError:
        return  # the video ends here, which the codes of later fixations say
    finally:
        cursor.close()
