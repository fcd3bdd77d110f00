"""A wearer in a drawn world, whose gaze and whose truth are known."""
