"""Structured residuals: whitening by group, and what it does to the criterion."""
