"""Inputs that lie elsewhere, by URL, copied to this machine into a folder of bounded size."""
