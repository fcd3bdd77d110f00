"""What a scene camera sees, and where on it gaze lies."""
