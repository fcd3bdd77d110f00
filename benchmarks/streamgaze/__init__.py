"""StreamGaze, offline, on exported engines: `python -m benchmarks.streamgaze`."""
