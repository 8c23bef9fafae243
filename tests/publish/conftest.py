"""Fits that the tables and reports show."""

from __future__ import annotations

import pytest

import lmmformula as lf

FORMULAS = ("Reaction ~ Days + (1 | Subject)", "Reaction ~ Days + (Days | Subject)")


@pytest.fixture(scope="session")
def two() -> tuple[lf.LinearMixedResults, lf.LinearMixedResults]:
    """Return random intercepts, and random slopes beside them."""
    data = lf.load_dataset("sleepstudy")
    small, large = (lf.lmer(formula, data) for formula in FORMULAS)
    return small, large
