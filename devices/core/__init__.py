"""Pupil Core, over the network API of Pupil Capture."""
