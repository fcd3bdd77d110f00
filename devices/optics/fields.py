"""What scene cameras see: fields of view, across and down, in degrees."""

from __future__ import annotations

NEON_FIELD = 103.0, 77.0
INVISIBLE_FIELD = 82.0, 82.0
ASSUMED_WIDTH = 90.0  # of a camera that nobody knows: between a laptop's and a head camera's

_FIELDS = {(1600, 1200): NEON_FIELD, (1088, 1080): INVISIBLE_FIELD}


def field_of_glasses(width: int, height: int) -> tuple[float, float] | None:
    """Of the Pupil Labs glasses whose frames have this size in pixels; None for other sizes."""
    return _FIELDS.get((width, height))


def likely_field(width: int, height: int) -> tuple[float, float]:
    """Of the glasses whose frames have this size in pixels, else of any camera."""
    return field_of_glasses(width, height) or assumed_field(width, height)


def assumed_field(width: int, height: int) -> tuple[float, float]:
    """Of a camera of which only the frames' size in pixels is known, with square pixels."""
    return ASSUMED_WIDTH, ASSUMED_WIDTH * height / width
