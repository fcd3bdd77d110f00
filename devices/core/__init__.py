"""Pupil Core, over the network API of Pupil Capture."""

from devices.core.device import CoreDevice

__all__ = ["CoreDevice"]
