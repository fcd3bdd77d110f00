"""The page of results in five lines and a chart."""
