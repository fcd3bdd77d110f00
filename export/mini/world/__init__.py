"""The drawn world as training takes it: clips, questions about them, and what is true of both."""
