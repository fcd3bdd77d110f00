"""The scene camera's video: from packets to whole pictures to frames."""
