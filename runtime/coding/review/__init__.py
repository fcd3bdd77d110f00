"""Checking by hand: one fixation after the other on a page, and what comes of it."""
