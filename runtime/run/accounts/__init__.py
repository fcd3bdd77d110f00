"""What a run counts: the fate of frames, the time of its stages."""
