"""A decoded frame as a person would see it: upright, with square pixels."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
from av.video.reformatter import Interpolation
from av.video.stream import VideoStream
from numpy.typing import NDArray

MOST_STRETCH = 4  # a pixel is at most so many times as wide as high, or the file is mistaken


def shown_size(frame: av.VideoFrame, stream: VideoStream) -> tuple[int, int]:
    """(width, height) at which a frame is shown: upright, its pixels made square."""
    width, height = frame.width, frame.height
    ratio = stream.sample_aspect_ratio or stream.codec_context.sample_aspect_ratio or Fraction(1)
    if 1 < ratio <= MOST_STRETCH:
        width = round(width * ratio)
    elif 1 > ratio >= Fraction(1, MOST_STRETCH):
        height = round(height / ratio)
    return (height, width) if _quarter_turns(frame) % 2 else (width, height)


def upright(frame: av.VideoFrame, width: int, height: int) -> NDArray[np.uint8]:
    """RGB uint8 (height, width, 3) of a frame, turned as its file says and of that size."""
    turns = _quarter_turns(frame)
    lying = (height, width) if turns % 2 else (width, height)
    if lying == (frame.width, frame.height):
        pixels = frame.to_ndarray(format="rgb24")
    else:
        pixels = frame.to_ndarray(
            format="rgb24", width=lying[0], height=lying[1], interpolation=Interpolation.BICUBIC
        )
    return np.ascontiguousarray(np.rot90(pixels, turns)) if turns else pixels


def _quarter_turns(frame: av.VideoFrame) -> int:
    """How often the picture has to be turned to the left by 90 degrees to stand upright, 0 to 3."""
    return round(frame.rotation / 90) % 4
