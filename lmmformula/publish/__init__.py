"""Results for readers: publication tables of several models, and a report of one."""
