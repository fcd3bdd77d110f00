"""What an engine bundle is: its manifest, and how one is opened and checked."""
