"""Fit statistics, predictions with limits, influence, and what an expert would say."""
