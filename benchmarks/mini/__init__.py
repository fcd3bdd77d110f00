"""How often mini is right, through its engines, and whether PyTorch says the same."""
