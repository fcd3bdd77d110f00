"""A webcam, and gaze from the mouse."""
