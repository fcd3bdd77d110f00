"""The diary: what was looked at, kept while it happens, to be asked later."""
