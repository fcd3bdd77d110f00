"""What a recording is worth, before a model looks at it."""
