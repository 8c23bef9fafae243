"""Known relationships: what must hold for every K."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmmformula.engine import Objective, assemble, conditional_covariances, estimate
from tests import dense
from tests.properties.designs import designs, draw_theta
from tests.tolerances import EVALUATION_RTOL, assert_close

seeds = st.integers(0, 10**6)


def with_relationships(matrices, seed):
    """Relate the levels of some of the factors (at least one), some of them by a singular K."""
    rng = np.random.default_rng([seed, 7])
    groups = list(dict.fromkeys(block.group for block in matrices.random))
    chosen = {group for group in groups if rng.random() < 0.6} or {groups[-1]}
    factors = {}
    for block in matrices.random:
        J = block.n_levels
        if block.group in chosen and block.group not in factors:
            root = rng.normal(size=(J, J)) * rng.choice([0.1, 1.0, 5.0])
            root[:, rng.integers(max(J // 2, 1), J + 1) :] = 0.0
            factors[block.group] = np.linalg.qr(root.T, mode="r").T
    random = (replace(b, relationship=factors.get(b.group)) for b in matrices.random)
    return replace(matrices, random=tuple(random))


def draw_related_theta(seed, related):
    """Draw parameters in units of the columns' sizes, the relationship's diagonal included."""
    theta, sizes = draw_theta(seed, related), []
    for block in related.random:
        k, L = block.n_effects, block.relationship
        count = k if block.structure == "diag" else k * (k + 1) // 2
        sizes += [1.0 if L is None else np.sqrt(np.sum(L**2) / len(L))] * count
    return theta / sizes


@given(designs, seeds, st.booleans())
def test_blocked_equals_dense(matrices, seed, reml):
    related = with_relationships(matrices, seed)
    theta = draw_related_theta(seed, related)
    expected = dense.objective_over_rows(related, theta, reml)
    ours = estimate(assemble([related]), theta, reml).objective
    assert ours == pytest.approx(expected, rel=EVALUATION_RTOL)


@given(designs, seeds, st.booleans())
def test_derivatives_equal_differences(matrices, seed, reml):
    objective = Objective(assemble([with_relationships(matrices, seed)]), reml)
    rng = np.random.default_rng(seed)
    phi = objective.start(1.0) + 0.3 * rng.normal(size=objective.n_phi)
    direction = rng.normal(size=objective.n_phi)
    direction /= np.linalg.norm(direction)
    step = 1e-5
    high, low = (objective.evaluate(phi + sign * step * direction) for sign in (1, -1))
    point = objective.evaluate(phi)
    slope = (high.value - low.value) / (2.0 * step)
    bend = (high.gradient - low.gradient) / (2.0 * step)
    scale = 1.0 + np.linalg.norm(point.gradient)
    assert point.gradient @ direction == pytest.approx(slope, abs=1e-5 * scale)
    hessian = point.hessian(exact=True)
    gap = np.abs(hessian @ direction - bend).max()
    assert gap <= 1e-6 * (1.0 + np.abs(hessian).max())


@given(designs, seeds)
def test_the_identity_is_no_relationship(matrices, seed):
    theta = draw_theta(seed, matrices)
    random = (replace(b, relationship=np.eye(b.n_levels)) for b in matrices.random)
    one, other = assemble([matrices]), assemble([replace(matrices, random=tuple(random))])
    plain, related = estimate(one, theta), estimate(other, theta)
    assert related.objective == pytest.approx(plain.objective, rel=EVALUATION_RTOL)
    assert_close(related.beta, plain.beta, 1e-8)
    # Modes of a whole model: those of one term may all be zero beside the others'.
    assert_close(
        np.concatenate([b.ravel() for b in related.random]),
        np.concatenate([b.ravel() for b in plain.random]),
        1e-7,
    )
    spreads = conditional_covariances(other, related), conditional_covariances(one, plain)
    assert_close(*(np.concatenate([c.ravel() for c in part]) for part in spreads), 1e-7)


@given(designs, seeds, st.booleans())
def test_order_of_levels_does_not_matter(matrices, seed, reml):
    related = with_relationships(matrices, seed)
    rng, places = np.random.default_rng(seed), {}
    for block in related.random:
        places.setdefault(block.group, rng.permutation(block.n_levels))
    turned = []
    for block in related.random:
        place = places[block.group]
        L = block.relationship
        if L is not None:
            K = L @ L.T
            values, vectors = np.linalg.eigh(K[np.ix_(place, place)])
            L = vectors * np.sqrt(np.maximum(values, 0.0))
        codes = np.argsort(place).astype(np.int32)[block.codes]
        turned.append(replace(block, codes=codes, levels=block.levels[place], relationship=L))
    theta = draw_related_theta(seed, related)
    one = estimate(assemble([related]), theta, reml)
    other = estimate(assemble([replace(related, random=tuple(turned))]), theta, reml)
    assert other.objective == pytest.approx(one.objective, rel=1e-9)
    for b, again, block in zip(one.random, other.random, related.random, strict=True):
        scale = max(np.abs(part).max() for part in one.random)
        np.testing.assert_allclose(again, b[places[block.group]], rtol=0.0, atol=1e-6 * scale)
