"""One decoder of random weights in PyTorch and in engines, on the same tokens, and how near."""
