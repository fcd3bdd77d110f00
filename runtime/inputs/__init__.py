"""What graphs are given besides pictures: positions, window order, interpolation, gaze encoding."""
