"""At a given theta the blocked objective is arithmetic: what must hold for every design."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmmformula.engine import assemble, estimate
from tests import dense
from tests.properties.designs import designs, draw_theta, take
from tests.tolerances import EVALUATION_RTOL, assert_close

seeds = st.integers(0, 10**6)


def objective(matrices, theta, reml, chunks=None):
    return estimate(assemble(chunks or [matrices]), theta, reml=reml).objective


@given(designs, seeds, st.booleans())
def test_blocked_equals_dense(matrices, seed, reml):
    theta = draw_theta(seed, matrices)
    expected = dense.objective_over_rows(matrices, theta, reml)
    assert objective(matrices, theta, reml) == pytest.approx(expected, rel=EVALUATION_RTOL)


@given(designs, seeds)
def test_estimates_equal_generalized_least_squares(matrices, seed):
    theta = draw_theta(seed, matrices)
    ours = estimate(assemble([matrices]), theta, reml=True)
    beta, inverse = dense.generalized_least_squares(matrices, theta)
    assert_close(ours.beta, beta, 1e-8, "beta")
    assert_close(ours.vcov_beta, ours.sigma**2 * inverse, 1e-8, "vcov")


@given(designs, seeds, st.booleans())
def test_order_of_rows_does_not_matter(matrices, seed, reml):
    theta = draw_theta(seed, matrices)
    shuffled = take(matrices, np.random.default_rng(seed).permutation(matrices.n_obs))
    assert objective(shuffled, theta, reml) == pytest.approx(
        objective(matrices, theta, reml), rel=EVALUATION_RTOL
    )


@given(designs, seeds, st.integers(2, 5))
def test_chunks_add_up(matrices, seed, n_chunks):
    theta = draw_theta(seed, matrices)
    rows = np.array_split(np.arange(matrices.n_obs), n_chunks)
    chunks = [take(matrices, part) for part in rows]
    assert objective(matrices, theta, True, chunks) == pytest.approx(
        objective(matrices, theta, True), rel=EVALUATION_RTOL
    )


@given(designs, seeds, st.booleans())
def test_labels_of_levels_do_not_matter(matrices, seed, reml):
    theta = draw_theta(seed, matrices)
    rng = np.random.default_rng(seed)
    orders = {b.group: rng.permutation(b.n_levels).astype(np.int32) for b in matrices.random}
    relabelled = replace(
        matrices,
        random=tuple(replace(b, codes=orders[b.group][b.codes]) for b in matrices.random),
    )
    assert objective(relabelled, theta, reml) == pytest.approx(
        objective(matrices, theta, reml), rel=EVALUATION_RTOL
    )


@given(designs, seeds, st.booleans())
def test_order_of_terms_does_not_matter(matrices, seed, reml):
    theta = draw_theta(seed, matrices)
    sizes = [
        b.n_effects if b.structure == "diag" else b.n_effects * (b.n_effects + 1) // 2
        for b in matrices.random
    ]
    parts = np.split(theta, np.cumsum(sizes)[:-1])
    turned = replace(matrices, random=matrices.random[::-1])
    assert objective(turned, np.concatenate(parts[::-1]), reml) == pytest.approx(
        objective(matrices, theta, reml), rel=EVALUATION_RTOL
    )


@given(designs, st.booleans())
def test_zero_theta_is_least_squares(matrices, reml):
    ours = estimate(
        assemble([matrices]), np.zeros(len(dense.pack_identity(matrices.random))), reml=reml
    )
    w = np.ones(matrices.n_obs) if matrices.weights is None else matrices.weights
    root = np.sqrt(w)
    X, y = root[:, None] * matrices.X, root * matrices.working_response
    beta, rss, *_ = np.linalg.lstsq(X, y, rcond=None)
    assert_close(ours.beta, beta, 1e-9, "beta")
    nu = matrices.n_obs - matrices.p * reml
    assert ours.sigma**2 == pytest.approx(rss[0] / nu, rel=1e-9)


@given(designs, seeds, st.booleans(), st.floats(1e-3, 1e3))
def test_units_of_the_response(matrices, seed, reml, c):
    theta = draw_theta(seed, matrices)
    scaled = replace(
        matrices,
        y=c * matrices.y,
        offset=None if matrices.offset is None else c * matrices.offset,
    )
    nu = matrices.n_obs - matrices.p * reml
    expected = objective(matrices, theta, reml) + nu * np.log(c**2)
    assert objective(scaled, theta, reml) == pytest.approx(expected, rel=1e-9, abs=1e-7)


@given(designs, seeds)
def test_change_of_fixed_effects_basis(matrices, seed):
    theta = draw_theta(seed, matrices)
    rng = np.random.default_rng(seed)
    A = np.eye(matrices.p) + 0.3 * rng.normal(size=(matrices.p, matrices.p)) / matrices.p
    turned = replace(matrices, X=matrices.X @ A)
    logdet = np.linalg.slogdet(A)[1]
    ml, reml = (objective(matrices, theta, kind) for kind in (False, True))
    assert objective(turned, theta, False) == pytest.approx(ml, rel=1e-9, abs=1e-7)
    assert objective(turned, theta, True) == pytest.approx(reml + 2 * logdet, rel=1e-9, abs=1e-7)


@given(designs, seeds, st.booleans())
def test_signs_of_template_columns_do_not_matter(matrices, seed, reml):
    theta = draw_theta(seed, matrices)
    rng = np.random.default_rng(seed)
    flipped, position = theta.copy(), 0
    for block in matrices.random:
        k = block.n_effects
        heights = [1] * k if block.structure == "diag" else range(k, 0, -1)
        for height in heights:
            flipped[position : position + height] *= rng.choice([-1.0, 1.0])
            position += height
    assert objective(matrices, flipped, reml) == pytest.approx(
        objective(matrices, theta, reml), rel=EVALUATION_RTOL
    )
