"""Batch work on more machines than one: units, who gets which, and the places where they run."""
