"""A bundle beside PyTorch, which has the checkpoints that it was made of."""
