"""Pictures that come within a request. Nothing is ever fetched."""

from __future__ import annotations

import base64
import binascii
import io
import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from devices.clock import NANOSECONDS
from devices.samples import Fixation
from runtime.stream.frame_timeline import FramePair, resized
from runtime.stream.gaze_timeline import GazeView
from runtime.stream.steps import StepPlan

KINDS = {"image/png": "PNG", "image/jpeg": "JPEG", "image/webp": "WEBP"}
MOST_PIXELS = 24_000_000
LOOKED = NANOSECONDS // 2  # how long a point of gaze is taken to have been looked at


class BadPicture(Exception):
    """A picture that can't be used."""


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """RGB (h, w, 3), and where it was looked at, as fractions of its size."""

    pixels: NDArray[np.uint8]
    gaze: tuple[tuple[float, float], ...]


def picture(url: str, gaze: tuple[tuple[float, float], ...]) -> Picture:
    """The picture of a data URI. Raises BadPicture."""
    head, comma, encoded = url.partition(",")
    scheme, _, kind = head.partition(":")
    kind, _, coding = kind.partition(";")
    if scheme.lower() != "data" or not comma or coding != "base64" or kind not in KINDS:
        raise BadPicture(
            "a picture comes as a data URI of PNG, JPEG or WebP in base64: nothing is fetched"
        )
    try:
        content = base64.b64decode(encoded, validate=True)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with Image.open(io.BytesIO(content), formats=[KINDS[kind]]) as image:
                if image.width * image.height > MOST_PIXELS:
                    raise BadPicture(f"a picture has at most {MOST_PIXELS // 1_000_000} megapixels")
                return Picture(np.asarray(image.convert("RGB")), gaze)
    except BadPicture:
        raise
    except (binascii.Error, ValueError, OSError, SyntaxError, Warning) as error:
        raise BadPicture(f"a picture can't be read as {kind}") from error


def picture_step(given: Picture, moment: int, size: tuple[int, int]) -> StepPlan:
    """A step that shows a picture, looked at as was told; `size`: of the model's input (h, w)."""
    pixels = resized(given.pixels, *size)
    fixations = tuple(
        Fixation(moment, moment, x, y, moment - LOOKED, None, "file", whole=True)
        for x, y in given.gaze
    )
    gaze_at = moment if fixations else None
    pair = FramePair(pixels, pixels, moment, moment)
    return StepPlan(None, moment, pair, GazeView(fixations, gaze_at, bool(fixations)))
