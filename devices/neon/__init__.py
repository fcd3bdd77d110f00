"""Pupil Labs Neon and Invisible."""
