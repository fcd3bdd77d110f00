"""Recordings of any tracker, and videos with a fixation file, played back as if live."""
