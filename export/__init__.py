"""Checkpoints to an engine bundle. The only room that knows PyTorch."""
