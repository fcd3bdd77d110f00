"""Our reading of the checkpoints against other readings of the same files."""
