"""Gaze coding: what each fixation of a recording was on, and tables that the field reads."""
