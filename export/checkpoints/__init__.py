"""Checkpoints as people have them: Qwen2.5-VL, V-JEPA 2.1, GazeQwen."""
