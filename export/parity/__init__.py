"""An export beside PyTorch with hooks: graph by graph, and layer by layer."""
