"""One file per question about speed, memory or accuracy."""
