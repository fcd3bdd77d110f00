"""What a habit of a live run costs it: being watched, and listening."""
