"""Pieces of the small-sample approximations against dense formulas and differences."""

from __future__ import annotations

import numpy as np
import pytest

import lmmformula as lf
from lmmformula.engine import (
    Objective,
    assemble,
    kenward_roger_pieces,
    variance_information,
)
from lmmformula.optimize import minimize
from tests.unit.engine.cases import CASES, Dense, draw

REGULAR = ["one factor", "one factor, weights and offset", "nested", "crossed", "uncorrelated"]


def close(ours, expected, rtol=1e-8):
    np.testing.assert_allclose(ours, expected, rtol=0.0, atol=rtol * np.abs(expected).max())


@pytest.mark.parametrize("name", CASES)
def test_kenward_roger_pieces(name):
    rows = CASES[name]
    objective = Objective(assemble([rows]))
    theta = objective.theta(draw(objective, 3))
    point = objective.evaluate(objective.phi_from_theta(theta))
    twin = Dense.at(point, rows)
    ours = kenward_roger_pieces(objective.system, theta)

    unit = twin.s / twin.nu * twin.system.basis.scale**2
    inverse, P = twin.H_inverse / unit, twin.P_full / unit
    free = np.concatenate([t.structure.free_entries for t in twin.system.terms])
    V = [dH for dH, is_free in zip(twin.directions, free, strict=True) if is_free]
    V.append(np.eye(rows.n_obs))
    X, y = twin.X, twin.y * twin.system.basis.scale
    Phi = np.linalg.inv(X.T @ inverse @ X)
    VX = [inverse @ Vi @ inverse @ X for Vi in V]
    p_forms = np.array([-X.T @ part for part in VX])
    q_forms = np.array([[a.T @ np.linalg.solve(inverse, b) for b in VX] for a in VX])
    close(ours.Phi, Phi)
    close(ours.P, p_forms)
    close(ours.Q, q_forms)
    products, full = [P @ Vi for Vi in V], [inverse @ Vi for Vi in V]
    expected = np.array([[np.sum(a * b.T) for b in full] for a in full])
    expected -= 2.0 * np.einsum("pq,ijqp->ij", Phi, q_forms)
    expected += np.einsum("ipq,jqp->ij", Phi @ p_forms, Phi @ p_forms)
    close(ours.expected, expected)
    sides = np.stack([Vi @ P @ y for Vi in V])
    observed = 2.0 * sides @ P @ sides.T
    observed -= np.array([[np.sum(a * b.T) for b in products] for a in products])
    close(ours.observed, observed)
    np.testing.assert_array_equal(ours.to_user, twin.system.basis.fixed)


def criterion(objective, parameters):
    """-2 log likelihood (restricted or not) with sigma not profiled out; working units."""
    e = objective.evaluate(parameters[:-1]).evaluation
    value = e.logdet_H + e.nu * parameters[-1] + e.pwrss / np.exp(parameters[-1])
    return value + (e.logdet_X if e.reml else 0.0)


def fixed_covariance(objective, parameters):
    e, basis = objective.evaluate(parameters[:-1]).evaluation, objective.system.basis
    scale = np.exp(parameters[-1]) * basis.scale**2
    return scale * basis.fixed @ e.Phi @ basis.fixed.T


def differences(function, at, step):
    """Return first central differences along every axis."""
    shifts = step * np.eye(len(at))
    return np.array([(function(at + d) - function(at - d)) / (2.0 * step) for d in shifts])


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("name", REGULAR)
def test_uncertainty_of_the_fixed_effects_variances(name, reml):
    """The delta method's variance of var(beta), free of the parametrisation."""
    system = assemble([CASES[name]])
    optimum, estimates = minimize(system, reml)
    objective = Objective(system, reml)
    phi = objective.phi_from_theta(optimum.theta)
    e = objective.evaluate(phi).evaluation
    at = np.append(phi, np.log(e.pwrss / e.nu))
    hessian = differences(
        lambda x: differences(lambda z: criterion(objective, z), x, 2e-4), at, 2e-4
    )
    slopes = differences(lambda x: fixed_covariance(objective, x), at, 1e-5)
    spread = 2.0 * np.linalg.pinv(hessian, rcond=1e-5, hermitian=True)
    expected = np.einsum("iaa,ij,jaa->a", slopes, spread, slopes)

    ours = variance_information(system, optimum.theta, reml)
    found = np.einsum("iaa,ij,jaa->a", ours.derivatives, ours.covariance, ours.derivatives)
    np.testing.assert_allclose(found, expected, rtol=1e-3)
    close(ours.vcov, estimates.vcov_beta, 1e-7)
    assert ours.n_flat == 0


def test_a_zero_variance_does_not_move_the_fixed_effects():
    system = lf.lmm("Yield ~ 1 + (1 | Batch)", lf.load_dataset("dyestuff2")).system
    ours = variance_information(system, np.zeros(1))
    assert (ours.n_flat, ours.n_boundary) == (0, 1)
    np.testing.assert_array_equal(ours.derivatives[0], 0.0)
