"""A webcam, and gaze from the mouse."""

from devices.webcam.device import WebcamDevice

__all__ = ["WebcamDevice"]
