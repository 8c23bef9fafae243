"""Profile likelihood of every parameter: curves and intervals."""
