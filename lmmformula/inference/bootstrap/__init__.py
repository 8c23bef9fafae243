"""Parametric, residual and case bootstrap, and tests by simulation."""
