"""Bundle and devices in, answers out. Never imports PyTorch, transformers or `export`."""
