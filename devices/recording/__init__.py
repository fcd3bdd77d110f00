"""Recordings played back as if live: Neon's native format, Pupil Cloud's, StreamGaze's."""
