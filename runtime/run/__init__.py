"""One run from its command line to its summary: the live loop and those who listen to it."""
