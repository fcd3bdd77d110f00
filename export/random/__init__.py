"""Checkpoints of random weights, in the layouts that the real ones have."""
