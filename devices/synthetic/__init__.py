"""A wearer in a drawn world, whose gaze and whose truth are known."""

from devices.synthetic.device import SyntheticDevice

__all__ = ["SyntheticDevice"]
