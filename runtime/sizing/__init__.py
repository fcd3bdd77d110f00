"""What a device would do, computed from its data sheet before anyone buys it."""
