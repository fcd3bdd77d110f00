"""The modules that are ours in PyTorch: V-JEPA 2.1 and the gaze resampler."""
