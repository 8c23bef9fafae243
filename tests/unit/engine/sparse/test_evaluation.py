"""A sparse tail gives what dense blocks give: criterion, derivatives, estimates, rows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmmformula.engine import (
    Objective,
    arranged,
    conditional_covariances,
    estimate,
    kenward_roger_pieces,
    sum_products,
    variance_information,
)
from lmmformula.engine.constrained import HeldObjective, HeldPoint
from lmmformula.engine.deletion import Downdater
from lmmformula.engine.evaluation import Evaluation
from lmmformula.engine.held import Held
from lmmformula.engine.hessian import exact_hessian
from lmmformula.engine.lockstep.newton import replicates_per_batch
from lmmformula.engine.method import layout_for
from lmmformula.engine.prediction import joint_covariance, target_rows
from lmmformula.errors import OptionError
from lmmformula.optimize import minimize
from tests.properties.designs import make
from tests.unit.engine.cases import CASES, draw, with_zeros
from tests.unit.engine.sparse.graphs import fronts_by_nature, neighbourhoods

DESIGNS = {
    name: matrices
    for name, matrices in CASES.items()
    if len({block.group for block in matrices.random}) > 1
    and all(block.relationship is None for block in matrices.random)
} | {
    "neighbourhoods": neighbourhoods(1),
    "neighbourhoods, slopes": neighbourhoods(2, k=(2, 1, 2)),
}


def both(matrices):
    """The system with dense blocks and the one with a sparse tail."""
    sums = sum_products([matrices])
    systems = arranged(sums), arranged(sums, layout_for(sums, "sparse"))
    assert systems[1].tail.kind == "sparse"
    return systems


def close(ours, expected, rtol=1e-10):
    scale = np.abs(expected).max(initial=1e-300)
    np.testing.assert_allclose(ours, expected, rtol=0.0, atol=rtol * scale + 1e-14)


@pytest.fixture
def shapes(request, monkeypatch):
    """Small designs are one front unless fronts are kept as they are by nature."""
    if request.param == "by nature":
        fronts_by_nature(monkeypatch)


def points(matrices, reml, *, singular=False, seed=1):
    systems = both(matrices)
    objectives = [Objective(system, reml) for system in systems]
    phi = draw(objectives[0], seed)
    if singular:
        phi = with_zeros(objectives[0], phi)
    return [objective.evaluate(phi) for objective in objectives]


PAIRWISE = [
    ("relaxed", True, False),
    ("relaxed", False, True),
    ("by nature", True, True),
    ("by nature", False, False),
]
"""Shapes of fronts, REML and a singular theta: every two of them meet in every way."""


@pytest.mark.parametrize(("shapes", "reml", "singular"), PAIRWISE, indirect=["shapes"])
@pytest.mark.usefixtures("shapes")
@pytest.mark.parametrize("name", DESIGNS)
def test_criterion_and_derivatives(name, reml, singular):
    dense, sparse = points(DESIGNS[name], reml, singular=singular)
    assert sparse.value == pytest.approx(dense.value, rel=1e-12)
    close(sparse.gradient, dense.gradient)
    close(sparse.hessian(exact=False), dense.hessian(exact=False))
    ours, theirs = sparse.evaluation, dense.evaluation
    close(ours.beta, theirs.beta)
    close(ours.Phi, theirs.Phi)
    close(ours.tail_modes, theirs.tail_modes)
    close(ours.first_modes, theirs.first_modes)
    close(ours.working_products, theirs.working_products)


@settings(max_examples=25)
@given(
    seed=st.integers(0, 10**6),
    shape=st.sampled_from(["nested", "crossed", "partly crossed", "three factors"]),
    weighted=st.booleans(),
    reml=st.booleans(),
    singular=st.booleans(),
)
def test_random_designs(seed, shape, weighted, reml, singular):
    matrices = make(seed, shape, weighted, False, "us")
    dense, sparse = points(matrices, reml, singular=singular, seed=seed)
    assert sparse.value == pytest.approx(dense.value, rel=1e-10)
    close(sparse.gradient, dense.gradient)


@pytest.mark.parametrize("name", DESIGNS)
def test_hessian_by_differences(name):
    dense, sparse = points(DESIGNS[name], True)
    counted = sparse.objective.n_evaluations
    close(sparse.hessian(exact=True), dense.hessian(exact=True), 2e-7)
    assert sparse.objective.n_evaluations == counted
    assert not sparse.objective.hessian_is_cheap


@pytest.mark.parametrize("name", ["nested in three levels", "three factors", "neighbourhoods"])
def test_fits(name):
    """The same optimum, certified, and the same information about the variance parameters."""
    dense, sparse = both(DESIGNS[name])
    (ours, estimates), (theirs, expected) = minimize(sparse), minimize(dense)
    assert ours.converged
    assert estimates.objective == pytest.approx(expected.objective, abs=1e-8)
    np.testing.assert_allclose(estimates.theta, expected.theta, atol=1e-6)
    close(estimates.vcov_beta, expected.vcov_beta, 1e-6)
    information = [variance_information(s, expected.theta) for s in (sparse, dense)]
    close(information[0].derivatives[-1], information[1].derivatives[-1], 1e-6)
    close(
        np.linalg.eigvalsh(information[0].covariance),
        np.linalg.eigvalsh(information[1].covariance),
        1e-5,
    )
    assert theirs.converged


@pytest.mark.parametrize("name", DESIGNS)
def test_covariances_of_the_effects(name):
    dense, sparse = both(DESIGNS[name])
    objective = Objective(dense)
    expected = estimate(dense, objective.theta(draw(objective, 3)))
    for ours, theirs in zip(
        conditional_covariances(sparse, expected),
        conditional_covariances(dense, expected),
        strict=True,
    ):
        close(ours, theirs, 1e-9)


def moved(matrices, seed):
    """The random terms of other rows: any combination of levels, some of them unknown."""
    rng = np.random.default_rng(seed)
    codes = {
        block.group: rng.integers(-1, block.n_levels, matrices.n_obs).astype(np.int32)
        for block in matrices.random
    }
    return {i: replace(block, codes=codes[block.group]) for i, block in enumerate(matrices.random)}


@pytest.mark.parametrize("name", DESIGNS)
@pytest.mark.parametrize("rows", ["of the data", "of any levels", "of one factor"])
def test_errors_of_predictions(name, rows, monkeypatch):
    monkeypatch.setattr("lmmformula.engine.sparse.rows.CHUNK_PAIRS", 50)
    monkeypatch.setattr("lmmformula.engine.sparse.rows.CHUNK_COLUMNS", 7)
    matrices = DESIGNS[name]
    systems = both(matrices)
    objective = Objective(systems[0])
    theta = objective.theta(draw(objective, 4))
    random = dict(enumerate(matrices.random))
    if rows == "of any levels":
        random = moved(matrices, 5)
    if rows == "of one factor":
        group = systems[0].tail.factors[0].group
        random = {i: block for i, block in random.items() if block.group == group}
    dense, sparse = (
        joint_covariance(system, theta, True).forms(target_rows(system, matrices.X, random))
        for system in systems
    )
    close(sparse.random, dense.random, 1e-9)
    close(sparse.total, dense.total, 1e-9)
    close(sparse.gaps, dense.gaps, 1e-9)


@pytest.mark.parametrize("name", ["partly crossed", "three factors"])
def test_rows_left_out(name):
    matrices = DESIGNS[name]
    phi = draw(Objective(both(matrices)[0]), 6)
    values = []
    for system in both(matrices):
        left = Downdater(system, matrices).without(np.arange(5))
        objective = Objective(system)
        values.append(Evaluation(left, objective.factors(phi), True).value)
    assert values[1] == pytest.approx(values[0], rel=1e-11)


@pytest.mark.parametrize(
    "held", [Held("sigma"), Held("fixed", column=0), Held("sd", term=1, effects=(0,))], ids=str
)
def test_held_parameters(held):
    """What profiles are minimized over has the same derivatives, the held value's included."""
    found = []
    for system in both(DESIGNS["three factors"]):
        objective = HeldObjective(system, held, 0.7)
        phi = objective.start([np.eye(term.structure.k) for term in system.terms], 0.1)
        point = HeldPoint(objective, phi)
        found.append((point.value, point.full_gradient, point.full_hessian(exact=True)))
    (value, gradient, hessian), (expected, slope, curvature) = found[1], found[0]
    assert value == pytest.approx(expected, rel=1e-12)
    close(gradient, slope)
    close(hessian, curvature, 1e-6)


class TestRefusals:
    def test_kenward_roger(self):
        _, sparse = both(DESIGNS["crossed"])
        objective = Objective(sparse)
        with pytest.raises(OptionError, match="Kenward") as caught:
            kenward_roger_pieces(sparse, objective.theta(draw(objective, 1)))
        assert caught.value.groups == tuple(f.group for f in sparse.tail.factors)
        assert "satterthwaite" in str(caught.value)

    def test_traces(self):
        _, sparse = both(DESIGNS["crossed"])
        objective = Objective(sparse)
        evaluation = objective.evaluate(draw(objective, 1)).evaluation
        with pytest.raises(OptionError, match="joint covariance of all levels"):
            exact_hessian(evaluation)

    def test_no_lockstep(self):
        dense, sparse = both(DESIGNS["crossed"])
        assert replicates_per_batch(dense) > 0
        assert replicates_per_batch(sparse) == 0


def test_what_it_says_of_itself():
    _, sparse = both(DESIGNS["crossed"])
    assert "tail='sparse'" in repr(sparse)
    assert "SparseTailLayout(n_columns=" in repr(sparse.tail)
