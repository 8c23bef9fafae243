"""Planning a study: designs, assumed parameters, and power by simulation."""
