"""Real designs in chunks of rows: the cross-products add up."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import lmmformula as lf
from lmmformula.engine import assemble, estimate
from lmmformula.optimize import minimize
from tests.properties.designs import take
from tests.reference.reader import fit, model_arguments, reference
from tests.tolerances import CRITERION_ATOL, EVALUATION_RTOL, assert_close

NAMES = ("sleep_full_weights_reml", "pastes_nested_reml", "psych_max_reml", "timss_full_ml",
         "insteval_ml")  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_chunks_of_consecutive_rows(name):
    """Consecutive rows: early chunks lack most levels of the grouping factors."""
    whole, ref = fit(name).design.matrices, reference(name)
    chunks = (take(whole, rows) for rows in np.array_split(np.arange(whole.n_obs), 7))
    system = assemble(chunks)
    ours = estimate(system, fit(name).theta, reml=ref.reml)
    assert ours.objective == pytest.approx(fit(name).objective, rel=EVALUATION_RTOL)
    assert_close(ours.beta, fit(name).params, 1e-8, "beta")
    found, _ = minimize(system, reml=ref.reml)
    assert found.objective == pytest.approx(fit(name).objective, abs=CRITERION_ATOL)


def test_the_callers_arrays_are_left_alone():
    """Assembling and fitting write into nothing that came from outside."""
    matrices = fit("psych_max_reml").design.matrices
    copies = [matrices.y.copy(), matrices.X.copy(), *(block.z.copy() for block in matrices.random)]
    minimize(assemble([matrices]))
    now = [matrices.y, matrices.X, *(block.z for block in matrices.random)]
    assert all(np.array_equal(a, b) for a, b in zip(copies, now, strict=True))


@pytest.mark.parametrize("name", ["sleep_full_weights_ml", "psych_factor_reml", "cake_ord_reml"])
def test_fitting_leaves_the_data_alone(name):
    arguments = model_arguments(name)
    before = arguments["data"].copy(deep=True)
    lf.lmm(**arguments).fit()
    assert before.equals(arguments["data"])
    assert list(before.columns) == list(arguments["data"].columns)


def test_a_weight_of_two_is_two_rows():
    """Doubling a weight is observing the mean of two: estimates of the mean part agree."""
    matrices = fit("sleep_full_ml").design.matrices
    doubled = take(matrices, np.repeat(np.arange(matrices.n_obs), 2))
    weighted = replace(matrices, weights=np.full(matrices.n_obs, 2.0))
    theta = fit("sleep_full_ml").theta
    a, b = (estimate(assemble([m]), theta, reml=False) for m in (doubled, weighted))
    assert_close(a.beta, b.beta, 1e-10, "beta")
    assert_close(a.random[0], b.random[0], 1e-9, "modes")
