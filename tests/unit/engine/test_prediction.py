"""Variances of prediction errors and deletions, against Henderson's equations written out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from lmmformula.engine import Objective, assemble, tail_rows
from lmmformula.engine.deletion import Downdater, delete_groups, delete_rows
from lmmformula.engine.error_variance import error_variance, independent_moves
from lmmformula.engine.prediction import JointCovariance, target_rows
from lmmformula.matrices import RandomBlock
from tests.properties.designs import take
from tests.tolerances import assert_close
from tests.unit.engine.cases import CASES, Dense, evaluated

Array = NDArray[np.float64]
EXACT = 1e-9


def errors_of(twin, X: Array, random: dict[int, RandomBlock]) -> tuple[Array, Array]:
    """Return prediction error variances over sigma^2 for any rows, from n x n matrices.

    Cov(b, y) and Var(y) are written out; unknown levels add their own variance.
    """
    system = twin.system
    Z_new, extra = [], np.zeros(len(X))
    for factor, Sigma in zip(system.factors, twin.Sigma, strict=True):
        members = [term.index for term in factor.terms if term.index in random]
        if not members:
            Z_new.append(np.zeros((len(X), factor.n_columns)))
            continue
        z = np.hstack([random[index].z @ system.basis.random[index] for index in members])
        codes = random[members[0]].codes
        seen = codes >= 0
        L = random[members[0]].relationship
        L = np.eye(factor.n_levels) if L is None else L
        fitted = L[: factor.n_levels, : factor.n_levels]
        own = np.full(len(X), np.mean(np.sum(fitted**2, axis=1)))
        own[seen] = np.sum(L[codes[seen], factor.n_levels :] ** 2, axis=1)
        extra += own * np.einsum("ia,ab,ib->i", z, Sigma, z)
        spread = np.zeros((len(X), len(L), z.shape[1]))
        spread[np.flatnonzero(seen), codes[seen]] = z[seen]
        spread = np.einsum("ija,jl->ila", spread, L[:, : factor.n_levels])
        Z_new.append(spread.reshape(len(X), -1))
    Sigmas = [
        np.kron(np.eye(f.n_levels), S) for f, S in zip(system.factors, twin.Sigma, strict=True)
    ]
    covariance = sum(Zn @ S @ Z.T for Zn, S, Z in zip(Z_new, Sigmas, twin.Z, strict=True))
    variance = sum(np.einsum("ia,ab,ib->i", Zn, S, Zn) for Zn, S in zip(Z_new, Sigmas, strict=True))
    HX = twin.H_inverse @ twin.X
    Phi = np.linalg.inv(twin.X.T @ HX)
    gaps = X @ system.basis.fixed - covariance @ HX
    given = variance - np.einsum("ia,ab,ib->i", covariance, twin.H_inverse, covariance)
    return given + np.einsum("ip,pq,iq->i", gaps, Phi, gaps) + extra, gaps


def shuffled(rows, seed: int, unseen: bool) -> tuple[Array, dict[int, RandomBlock]]:
    """New rows whose levels were never seen together; some are unknown."""
    rng = np.random.default_rng(seed)
    n = 60
    X = np.column_stack([np.ones(n), rng.normal(size=(n, rows.p - 1))])
    codes, random = {}, {}
    for index, term in enumerate(rows.random):
        if term.group not in codes:
            low = -1 if unseen else 0
            codes[term.group] = rng.integers(low, term.n_levels, n).astype(np.int32)
        z = rng.normal(size=(n, term.n_effects))
        random[index] = RandomBlock(
            z,
            codes[term.group],
            term.levels,
            term.effect_names,
            term.group,
            "us",
            term.text,
            relationship=term.relationship,
        )
    return X, random


def with_relatives(random: dict[int, RandomBlock], seed: int) -> dict[int, RandomBlock]:
    """The rows with four further levels, related to the fitted ones, in every third of them."""
    rng, extra = np.random.default_rng(seed), {}
    for term in random.values():
        if term.relationship is not None and term.group not in extra:
            J = term.n_levels
            L = np.zeros((J + 4, J + 4))
            L[:J, :J] = term.relationship
            L[J:] = np.tril(rng.normal(size=(4, J + 4)), J)
            extra[term.group] = L, rng.integers(J, J + 4, len(term.codes[::3]))
    found = {}
    for index, term in random.items():
        if term.group in extra:
            L, beyond = extra[term.group]
            codes = term.codes.copy()
            codes[::3] = beyond
            levels = np.concatenate([term.levels, [f"new{i}" for i in range(4)]])
            term = replace(term, codes=codes, levels=levels, relationship=L)
        found[index] = term
    return found


@pytest.mark.parametrize("singular", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_leverage_is_the_diagonal_of_the_hat_matrix(name, singular):
    point, twin = evaluated(name, True, singular=singular)
    joint, rows = JointCovariance(point.evaluation), twin.matrices
    forms = joint.forms(target_rows(twin.system, rows.X, dict(enumerate(rows.random))))
    assert_close(twin.root**2 * forms.total, 1.0 - np.diag(twin.P_full), EXACT, name)
    assert_close(forms.gaps * twin.root[:, None], twin.H_inverse @ twin.X, EXACT, name)


@pytest.mark.parametrize("unseen", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_errors_of_new_rows(name, unseen):
    point, twin = evaluated(name, False)
    joint = JointCovariance(point.evaluation)
    X, random = shuffled(twin.matrices, 5, unseen)
    expected, gaps = errors_of(twin, X, random)
    forms = joint.forms(target_rows(twin.system, X, random))
    assert_close(forms.total, expected, EXACT, name)
    assert_close(forms.gaps, gaps, EXACT, name)
    assert bool((forms.new > 0).any()) is unseen
    for group in {term.group for term in twin.matrices.random}:
        some = {index: term for index, term in random.items() if term.group == group}
        expected, _ = errors_of(twin, X, some)
        assert_close(joint.forms(target_rows(twin.system, X, some)).total, expected, EXACT, name)
    expected, _ = errors_of(twin, X, {})
    assert_close(joint.forms(target_rows(twin.system, X, {})).total, expected, EXACT, name)


@pytest.mark.parametrize("name", [name for name in CASES if name.startswith("related")])
def test_errors_of_rows_of_relatives_without_data(name):
    point, twin = evaluated(name, True)
    X, random = shuffled(twin.matrices, 9, True)
    random = with_relatives(random, 2)
    expected, gaps = errors_of(twin, X, random)
    joint = JointCovariance(point.evaluation)
    forms = joint.forms(target_rows(twin.system, X, random))
    assert_close(forms.total, expected, EXACT, name)
    assert_close(forms.gaps, gaps, EXACT, name)


@pytest.mark.parametrize(
    "name", ["crossed", "nested in three levels", "mixed structures", "related, crossed"]
)
def test_columns_can_be_taken_a_few_at_a_time(name, monkeypatch):
    point, twin = evaluated(name, True)
    X, random = shuffled(twin.matrices, 6, True)
    rows = target_rows(twin.system, X, random)
    whole = JointCovariance(point.evaluation).forms(rows).total
    monkeypatch.setattr(tail_rows, "CHUNK_ELEMENTS", 2 * twin.system.first.n_columns)
    assert_close(JointCovariance(point.evaluation).forms(rows).total, whole, 1e-14, name)


def without(point, twin, rows) -> tuple[Array, Array, float]:
    """Return beta, its standard errors and sigma without some rows, at the same theta."""
    kept = np.setdiff1d(np.arange(twin.matrices.n_obs), rows)
    less = take(twin.matrices, kept)
    system, basis = twin.system, twin.system.basis
    other = Dense(less, system, twin.factors, twin.reml)
    HX = other.H_inverse @ other.X
    Phi = np.linalg.inv(other.X.T @ HX)
    beta = Phi @ (HX.T @ other.y)
    residual = other.y - other.X @ beta
    sigma = np.sqrt(residual @ other.H_inverse @ residual / other.nu) * basis.scale
    se = sigma * np.sqrt(np.diag(basis.fixed @ Phi @ basis.fixed.T))
    return basis.beta + basis.scale * basis.fixed @ beta, se, float(sigma)


@pytest.mark.parametrize("singular", [False, True])
@pytest.mark.parametrize("reml", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_deletion_of_rows(name, reml, singular):
    point, twin = evaluated(name, reml, singular=singular)
    rows, root = twin.matrices, twin.root
    forms = JointCovariance(point.evaluation).forms(
        target_rows(twin.system, rows.X, dict(enumerate(rows.random)))
    )
    residual = twin.r * twin.system.basis.scale
    ours = delete_rows(
        point.evaluation, forms.gaps * root[:, None], residual, root**2 * forms.total
    )
    for i in (0, 7, 31):
        beta, se, sigma = without(point, twin, [i])
        assert_close(ours.beta[i], beta, EXACT, name)
        assert_close(ours.se[i], se, EXACT, name)
        assert ours.sigma[i] == pytest.approx(sigma, rel=EXACT)


@pytest.mark.parametrize("by_level", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_deletion_of_groups(name, by_level):
    point, twin = evaluated(name, True)
    rows = twin.matrices
    units = rows.random[-1].codes.astype(np.int64)
    if not by_level:
        units = np.random.default_rng(3).integers(0, 6, rows.n_obs)
    n_units = int(units.max()) + 1
    ours = delete_groups(point, rows, units, n_units)
    assert ours.beta.shape == (n_units, rows.p)
    for unit in range(min(n_units, 8)):
        beta, se, sigma = without(point, twin, np.flatnonzero(units == unit))
        assert_close(ours.beta[unit], beta, 1e-8, name)
        assert_close(ours.se[unit], se, 1e-8, name)
        assert ours.sigma[unit] == pytest.approx(sigma, rel=1e-8)


@pytest.mark.parametrize("name", CASES)
def test_downdated_systems_have_the_criterion_of_the_rows_left(name):
    point, twin = evaluated(name, True)
    rows = twin.matrices
    gone = np.flatnonzero(rows.random[0].codes == 1)
    less = Objective(Downdater(twin.system, rows).without(gone))
    value = less.evaluate(point.phi).value
    kept = take(rows, np.setdiff1d(np.arange(rows.n_obs), gone))
    expected = Objective(assemble([kept]))
    theta = point.objective.theta(point.phi)
    assert value == pytest.approx(expected.evaluate(expected.phi_from_theta(theta)).value, abs=1e-7)


@pytest.mark.parametrize("name", ["one factor", "crossed", "nested in three levels"])
def test_degrees_of_freedom_of_the_fixed_part_are_satterthwaites(name):
    from lmmformula.engine import variance_information
    from lmmformula.optimize import minimize

    rows = CASES[name]
    system = assemble([rows])
    theta = minimize(system)[1].theta
    information = variance_information(system, theta)
    X = np.random.default_rng(1).normal(size=(5, rows.p))
    v = np.einsum("ip,pq,iq->i", X, information.vcov, X)
    g = np.einsum("ip,mpq,iq->im", X, information.derivatives, X)
    expected = 2 * v**2 / np.einsum("im,mn,in->i", g, information.covariance, g)
    ours = error_variance(system, theta, True, target_rows(system, X, {}), np.zeros(5))
    assert ours.df == pytest.approx(expected, rel=1e-6)


def directions_of(point, move) -> list[Array]:
    """Return the derivative of every term's Sigma along a move of the parameters."""
    objective, step = point.objective, 1e-4
    high, low = (objective.factors(point.phi + sign * step * move) for sign in (1, -1))
    return [(u @ u.T - d @ d.T) / (2 * step) for u, d in zip(high, low, strict=True)]


@pytest.mark.parametrize("singular", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_correction_is_kackar_and_harvilles(name, singular):
    drawn, _ = evaluated(name, True, singular=singular)
    objective = drawn.objective
    theta = objective.theta(drawn.phi)
    point = objective.evaluate(objective.phi_from_theta(theta))
    twin = Dense.at(point, CASES[name])
    system, rows = twin.system, twin.matrices
    picked = take(rows, np.arange(0, rows.n_obs, 7))
    X, random = picked.X, dict(enumerate(picked.random))
    HX = twin.H_inverse @ twin.X
    Phi = np.linalg.inv(twin.X.T @ HX)
    Z_new = [Z[::7] / twin.root[::7, None] for Z in twin.Z]
    covariance = sum(
        Zn @ np.kron(np.eye(factor.n_levels), Sigma) @ Z.T
        for Zn, factor, Sigma, Z in zip(Z_new, system.factors, twin.Sigma, twin.Z, strict=True)
    )
    gaps = X @ system.basis.fixed - covariance @ HX
    weights = covariance @ twin.H_inverse + gaps @ Phi @ HX.T
    expected = np.zeros(len(X))
    for move, size in zip(*independent_moves(point), strict=True):
        moved = np.zeros((len(X), rows.n_obs))
        by_term = dict(enumerate(directions_of(point, move)))
        for factor, Zn, Z in zip(system.factors, Z_new, twin.Z, strict=True):
            D = np.kron(np.eye(factor.n_levels), factor.merged(by_term))
            moved += (Zn - weights @ Z) @ D @ Z.T
        expected += 2.0 * size * np.einsum("ia,ab,ib->i", moved, twin.P_full, moved)
    ours = error_variance(
        system, theta, True, target_rows(system, X, random), np.zeros(len(X)), corrected=True
    )
    assert_close(ours.correction, expected, 1e-4, name)
