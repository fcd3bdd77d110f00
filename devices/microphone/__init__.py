"""This computer's microphone, beside any device that has none of its own."""
