"""Comparisons of models: likelihood ratios, boundaries, deletions of terms, exact tests."""
