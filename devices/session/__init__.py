"""Sessions: what a device delivered, saved while it ran, and played back as it was."""
