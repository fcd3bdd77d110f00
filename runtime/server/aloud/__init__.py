"""What is said on the page and by it: its microphone, its browser's voice."""
