"""What the optimizer must deliver on every design: "converged" is a proven local minimum."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmmformula.engine import assemble, estimate
from lmmformula.optimize import OptimumStatus, minimize
from tests import dense
from tests.properties.designs import column_sizes, designs, draw_theta

DERIVED_THETA_RTOL = 1e-8
"""Theta is derived from the optimizer's factors; with effects a hundred times sigma that costs
two digits of the criterion."""

PROVEN = (OptimumStatus.CONVERGED, OptimumStatus.NOT_IDENTIFIED)


@given(designs, st.integers(0, 10**6), st.booleans())
def test_nothing_lower_near_a_proven_minimum(matrices, seed, reml):
    found, _ = minimize(assemble([matrices]), reml=reml)
    there = dense.objective_over_rows(matrices, found.theta, reml)
    assert found.objective == pytest.approx(there, rel=DERIVED_THETA_RTOL)
    if found.status not in PROVEN:
        return
    rng = np.random.default_rng(seed)
    for size in (1e-3, 1e-2, 0.1):
        step = size * rng.normal(size=len(found.theta)) / column_sizes(matrices)
        nearby = dense.objective_over_rows(matrices, found.theta + step, reml)
        assert nearby >= there - DERIVED_THETA_RTOL * abs(there)


@given(designs, st.integers(0, 10**6), st.booleans())
def test_not_above_other_parameters(matrices, seed, reml):
    system = assemble([matrices])
    found, _ = minimize(system, reml=reml)
    for theta in (draw_theta(seed, matrices), np.zeros(len(found.theta))):
        other = estimate(system, theta, reml=reml).objective
        assert found.objective <= other + DERIVED_THETA_RTOL * abs(other)


@given(designs, st.booleans())
def test_every_evaluation_is_counted(matrices, reml):
    seen = []
    found, _ = minimize(assemble([matrices]), reml=reml, callback=seen.append)
    assert found.n_evaluations == len(found.trace) == len(seen)
    assert min(step.objective for step in found.trace) >= found.objective - 1e-6
