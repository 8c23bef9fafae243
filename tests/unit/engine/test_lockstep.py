"""Many replicates at once give what one at a time gives."""

from __future__ import annotations

import numpy as np
import pytest

import lmmformula as lf
from lmmformula.covariance import STRUCTURES, make_structure
from lmmformula.engine import Objective, assemble, replace_response
from lmmformula.engine.lockstep.draws import ResponseSampler
from lmmformula.engine.lockstep.newton import _Problem, minimize_lockstep, replicates_per_batch
from lmmformula.engine.lockstep.stack import RowProducts, level_products, resampled_stack
from lmmformula.engine.lockstep.structures import _Looped, batched
from lmmformula.optimize import minimize
from tests import dense
from tests.tolerances import CRITERION_ATOL
from tests.unit.engine.cases import CASES, draw, with_zeros

RNG = np.random.default_rng
BATCHED = [name for name in CASES if replicates_per_batch(assemble([CASES[name]]))]


def stack_of(rows, n, seed=0):
    """Return a system, random responses, and their stack."""
    system = assemble([rows])
    responses = rows.y[:, None] + RNG(seed).normal(size=(rows.n_obs, n))
    return system, responses, RowProducts(system, rows).stack(responses)


@pytest.mark.parametrize("name", BATCHED)
@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("singular", [False, True])
def test_evaluation_is_the_ordinary_one(name, reml, singular):
    rows = CASES[name]
    system, responses, stack = stack_of(rows, 3)
    objective = Objective(system, reml)
    phi = np.stack([draw(objective, seed) for seed in range(3)])
    if singular:
        phi = np.stack([with_zeros(objective, row) for row in phi])
    points = _Problem(system, reml).evaluate(stack, phi)
    for i in range(3):
        other = Objective(replace_response(system, rows, responses[:, i]), reml)
        point = other.evaluate(phi[i])
        assert points.value[i] == pytest.approx(point.value, rel=1e-11)
        for ours, theirs in [
            (points.gradient[i], point.gradient),
            (points.average[i], point.hessian(exact=False)),
            (points.exact[i], point.hessian(exact=True)),
        ]:
            np.testing.assert_allclose(ours, theirs, atol=1e-9 * (1.0 + np.abs(theirs).max()))


MODELS = {
    "slopes": ("Reaction ~ Days + (Days | Subject)", "sleepstudy"),
    "diagonal": ("Reaction ~ Days + (Days || Subject)", "sleepstudy"),
    "singular": ("Yield ~ 1 + (1 | Batch)", "dyestuff2"),
    "crossed": ("diameter ~ 1 + (1 | plate) + (1 | sample)", "penicillin"),
    "nested": ("strength ~ 1 + (1 | batch/cask)", "pastes"),
    "three effects": ("score ~ Machine + (Machine | Worker)", "machines"),
}


@pytest.mark.filterwarnings("ignore::lmmformula.SingularFitWarning")
@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("reml", [True, False])
def test_replicates_agree_with_fits_one_by_one(name, reml):
    formula, data = MODELS[name]
    fit = lf.lmer(formula, lf.load_dataset(data), reml)
    responses = fit.simulate(50, seed=1).to_numpy()
    products = RowProducts(fit.system, fit.design.matrices)
    start = Objective(fit.system, reml).start(0.5)
    solution = minimize_lockstep(products.stack(responses), start, reml)
    assert solution.settled.mean() > 0.9
    for i in np.flatnonzero(solution.settled):
        alone = replace_response(fit.system, fit.design.matrices, responses[:, i])
        optimum, estimates = minimize(alone, reml, start=fit.theta)
        assert solution.value[i] == pytest.approx(optimum.objective, abs=CRITERION_ATOL)
        sigma = np.sqrt(solution.sigma2[i]) * fit.system.basis.scale
        assert sigma == pytest.approx(estimates.sigma, rel=1e-5)


def test_singular_replicates_are_exactly_zero():
    fit = lf.lmer("Yield ~ 1 + (1 | Batch)", lf.load_dataset("dyestuff"))
    sampler = ResponseSampler(fit.system, fit.params.to_numpy(), (np.zeros((1, 1)),), fit.sigma)
    stack = sampler.draw(200, np.random.SeedSequence(1))
    solution = minimize_lockstep(stack, np.ones(1), True)
    assert solution.settled.all()
    zero = solution.phi[:, 0] == 0.0
    assert 0.4 < zero.mean() < 0.9
    assert np.abs(solution.phi[~zero]).min() > 1e-3


def test_a_replicate_can_stand_alone():
    rows = CASES[next(iter(CASES))]
    system, responses, stack = stack_of(rows, 4)
    alone = stack.take(np.array([2, 3])).single(1)
    theta = dense.pack_identity(rows.random, 0.7)
    objective = Objective(alone)
    again = Objective(replace_response(system, rows, responses[:, 3]))
    ours = objective.evaluate(objective.phi_from_theta(theta)).value
    assert ours == pytest.approx(again.evaluate(again.phi_from_theta(theta)).value, rel=1e-12)


@pytest.mark.parametrize("name", BATCHED)
def test_draws_have_the_moments_of_responses(name):
    """A'e must have covariance A'A, and what is outside the columns of A the rest of the df."""
    rows = CASES[name]
    system = assemble([rows])
    templates = [np.eye(block.n_effects) for block in rows.random]
    s = ResponseSampler(system, np.zeros(rows.p), templates, system.basis.scale)
    gram = np.einsum("abj,cbj->acj", s.root, s.root)
    np.testing.assert_allclose(gram, system.gram, atol=1e-9 * np.abs(system.gram).max())
    border = s.projected.T @ s.projected + s.rest_root @ s.rest_root.T
    np.testing.assert_allclose(border, s.border, atol=1e-8 * np.abs(s.border).max())
    k, J = s.present.shape
    linked = np.einsum("abj,bjc->acj", s.root, s.projected.reshape(k, J, -1))
    np.testing.assert_allclose(linked, s.fixed, atol=1e-9 * np.abs(s.fixed).max())
    w = np.ones(rows.n_obs) if rows.weights is None else rows.weights
    Z = [dense.sources(block) for block in rows.random]
    rank = np.linalg.matrix_rank(np.sqrt(w)[:, None] * np.hstack([*Z, rows.X]))
    assert s.n_outside == rows.n_obs - rank


def test_drawn_responses_are_possible_and_reproducible():
    fit = lf.lmer("strength ~ 1 + (1 | batch/cask)", lf.load_dataset("pastes"))
    e = fit.estimates
    sampler = ResponseSampler(fit.system, e.beta, e.templates, e.sigma)
    many, few = (sampler.draw(n, np.random.SeedSequence(5)) for n in (30, 10))
    np.testing.assert_array_equal(many.y[:, :10], few.y)
    np.testing.assert_allclose(many.yy[:10], few.yy, rtol=1e-12)
    explained = np.sum(many.border_y[:, -1] ** 2) / fit.nobs
    assert explained < many.yy.sum()


@pytest.mark.parametrize("name", STRUCTURES)
@pytest.mark.parametrize("k", [1, 2, 3])
def test_batched_structures_are_the_ordinary_ones(name, k):
    structure = make_structure(name, k)
    fast, slow = batched(structure), _Looped(structure)
    rng = RNG(k)
    phi = rng.normal(size=(6, structure.n_phi))
    phi[0], phi[1] = 0.0, 1e-5 * phi[1]
    gradient = rng.normal(size=(6, k, k))
    gradient = gradient + gradient.transpose(0, 2, 1)
    for method in ("factor", "jacobian", "projector"):
        ours, theirs = getattr(fast, method)(phi), getattr(slow, method)(phi)
        np.testing.assert_allclose(ours, theirs, atol=1e-10)
    curvature = slow.curvature(phi, gradient)
    np.testing.assert_allclose(fast.curvature(phi, gradient), curvature, atol=1e-12)
    snapped = slow.snap(phi, gradient, 1e-3)
    covariances = [slow.factor(p) @ slow.factor(p).transpose(0, 2, 1) for p in (snapped,)]
    ours = fast.factor(fast.snap(phi, gradient, 1e-3))
    np.testing.assert_allclose(ours @ ours.transpose(0, 2, 1), covariances[0], atol=1e-9)


def test_resampled_levels_are_resampled_rows():
    data = lf.load_dataset("sleepstudy")
    data = data[~((data["Subject"] == "308") & (data["Days"] > 5))].reset_index(drop=True)
    data["w"] = 1.0 + data["Days"] % 3
    model = lf.lmm("Reaction ~ Days + (Days | Subject)", data, weights="w")
    m = model.design.matrices
    levels = RNG(0).integers(18, size=(2, 18))
    products = level_products(RowProducts(model.system, m), m)
    stack = resampled_stack(model.system, products, levels)
    names = list(m.random[0].levels)
    for i, drawn in enumerate(levels):
        parts = [
            data[data["Subject"] == names[level]].assign(Subject=f"s{copy:02d}")
            for copy, level in enumerate(drawn)
        ]
        import pandas as pd

        other = lf.lmm("Reaction ~ Days + (Days | Subject)", pd.concat(parts), weights="w")
        theta = [0.9, 0.1, 0.3]
        objective = Objective(stack.single(i))
        ours = objective.evaluate(objective.phi_from_theta(np.array(theta))).value
        assert ours == pytest.approx(other.at(theta).objective, rel=1e-11)


def test_without_a_factor_to_eliminate_replicates_are_fitted_one_by_one():
    assert [name for name in CASES if name not in ("related", "related, singular")] == BATCHED


def test_batches_follow_the_size_of_the_design():
    small = assemble([CASES[next(iter(CASES))]])
    assert 1 <= replicates_per_batch(small) <= 500
    wide = lf.lmm("y ~ 1 + (1 | a) + (1 | b)", _wide())
    assert replicates_per_batch(wide.system) == 0


def _wide():
    rng = RNG(1)
    a, b = rng.integers(0, 400, 3000), rng.integers(0, 350, 3000)
    return {"y": rng.normal(size=3000), "a": a.astype(str), "b": b.astype(str)}
