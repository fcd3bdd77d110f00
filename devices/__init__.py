"""Sources of samples: live trackers, recordings, and a synthetic wearer. Imports no other room."""
