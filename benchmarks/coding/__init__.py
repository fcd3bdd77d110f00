"""Gaze coding and the diary: how often they are right, what they cost."""
