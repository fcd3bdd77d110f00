"""Trains mini: a GazeQwen of two million parameters that is right because of gaze."""
