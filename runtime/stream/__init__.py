"""What was captured, in order of time: frames, gaze, fixations, and the steps made of them."""
