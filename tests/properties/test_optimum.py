"""What the optimizer must deliver on every design: a stationary point, nothing lower nearby."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmmformula.engine import assemble, estimate
from lmmformula.optimize import minimize
from tests import dense
from tests.properties.designs import designs, draw_theta


@given(designs, st.integers(0, 10**6), st.booleans())
def test_nothing_lower_nearby(matrices, seed, reml):
    system = assemble([matrices])
    found, _ = minimize(system, reml=reml)
    at_optimum = dense.objective_over_rows(matrices, found.theta, reml)
    assert found.objective == pytest.approx(at_optimum, rel=1e-9)
    rng = np.random.default_rng(seed)
    for size in (1e-3, 1e-2, 0.1):
        step = size * rng.normal(size=len(found.theta))
        assert dense.objective_over_rows(matrices, found.theta + step, reml) >= at_optimum - 1e-7


@given(designs, st.integers(0, 10**6), st.booleans())
def test_not_above_any_other_start(matrices, seed, reml):
    system = assemble([matrices])
    found, _ = minimize(system, reml=reml)
    for theta in (draw_theta(seed, matrices), np.zeros(len(found.theta))):
        assert found.objective <= estimate(system, theta, reml=reml).objective + 1e-7
