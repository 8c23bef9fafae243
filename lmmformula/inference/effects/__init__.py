"""Tests and intervals of fixed effects: degrees of freedom, contrasts, F tables per term."""
