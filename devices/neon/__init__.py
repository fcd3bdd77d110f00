"""Pupil Labs Neon and Invisible."""

from devices.neon.device import NeonCondition, NeonDevice

__all__ = ["NeonCondition", "NeonDevice"]
