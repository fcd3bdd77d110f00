"""Decoders of other projects, of the same weights, each in a process of its own."""
