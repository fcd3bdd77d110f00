"""This computer's microphone, or the page's, beside any device."""
