"""Sessions: what a device delivered, saved while it ran, and played back as it was."""

from devices.session.device import SessionDevice
from devices.session.writer import SavedSession, SessionWriter

__all__ = ["SavedSession", "SessionDevice", "SessionWriter"]
