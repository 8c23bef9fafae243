"""Intervals for variances, correlations and what else describes the covariance."""
