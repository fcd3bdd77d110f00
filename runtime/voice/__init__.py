"""Voice: questions that are spoken, and answers that are."""
