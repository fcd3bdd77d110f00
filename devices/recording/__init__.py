"""Recordings played back as if live: Neon's native format, Pupil Cloud's, StreamGaze's."""

from devices.recording.description import RecordingDescription
from devices.recording.formats import describe
from devices.recording.playback import RecordingDevice
from devices.recording.video import FrameReader

__all__ = ["FrameReader", "RecordingDescription", "RecordingDevice", "describe"]
