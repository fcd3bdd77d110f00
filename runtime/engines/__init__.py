"""Graphs that run: which engine, on which device, where tensors live, what was built before."""
