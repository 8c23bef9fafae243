"""Every covariance structure keeps the promises that the engine and the optimizer build on."""

from __future__ import annotations

import numpy as np
import pytest

from lmmformula.covariance import STRUCTURES, Correlated, Structure, make_structure, variant

STEP = 1e-5

CASES = [(name, k) for name in STRUCTURES for k in (1, 2, 3, 5)]


@pytest.fixture(params=CASES, ids=lambda case: f"{case[0]}, k={case[1]}")
def structure(request) -> Structure:
    name, k = request.param
    return make_structure(name, k)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture(params=[1.0, 0.5, -2.0])
def phi(request, structure, rng):
    """Return ordinary parameters: around a multiple of the identity."""
    return structure.start(request.param) + 0.3 * rng.normal(size=structure.n_phi)


def sigma(structure, phi):
    factor = structure.factor(phi)
    return factor @ factor.T


def entries(structure, matrix):
    return matrix[structure.pairs]


def lower(matrix):
    return np.linalg.cholesky(matrix)


def singular(structure, phi):
    """Make the first effect's standard deviation zero."""
    phi = phi.copy()
    phi[: structure.k if structure.name == "us" else 1] = 0.0
    return phi


def gradient_matrix(rng, k):
    gradient = rng.normal(size=(k, k))
    return gradient + gradient.T


def test_is_registered_under_its_name(structure):
    assert structure.invariance in ("linear", "diagonal", "scalar")
    assert f"k={structure.k}" in repr(structure)


def test_pairs_are_the_upper_triangle(structure):
    rows, columns = structure.pairs
    assert len(rows) == structure.k * (structure.k + 1) // 2
    assert (rows <= columns).all()
    np.testing.assert_array_equal(structure.multiplicity, np.where(rows == columns, 1.0, 2.0))


def test_start_has_the_variances_asked_for_and_little_correlation(structure):
    assert structure.start().shape == (structure.n_phi,)
    is_decaying = STRUCTURES[structure.name].over == "positions"
    little = np.exp(-1.0) + 1e-12 if is_decaying else 1e-15
    for size in (0.0, 0.1, 1.0, 3.0):
        ours = sigma(structure, structure.start(size))
        np.testing.assert_allclose(np.diag(ours), size**2, rtol=1e-14)
        off = np.abs(ours - np.diag(np.diag(ours))).max()
        assert off <= little * size**2


def test_theta_and_template_are_inverse(structure, phi):
    template = lower(sigma(structure, phi))
    theta = structure.theta(template)
    assert theta.shape == (structure.n_theta,)
    again = structure.template(theta)
    np.testing.assert_allclose(again, template, atol=1e-12)
    np.testing.assert_array_equal(again, np.tril(again))
    np.testing.assert_allclose(structure.theta(again), theta, rtol=1e-10)


def test_a_template_gives_parameters_of_the_same_covariance(structure, phi):
    template = lower(sigma(structure, phi))
    ours = structure.from_template(template)
    assert ours.shape == (structure.n_phi,)
    np.testing.assert_allclose(
        sigma(structure, ours), sigma(structure, phi), rtol=1e-12, atol=1e-12
    )


def test_from_template_gives_arrays_of_its_own(structure):
    template = np.eye(structure.k)
    structure.from_template(template)[:] = 7.0
    np.testing.assert_array_equal(template, np.eye(structure.k))


def test_names_of_theta(structure):
    effects = tuple(f"x{j}" for j in range(structure.k))
    names = structure.theta_names(effects, "g")
    assert len(names) == len(set(names)) == structure.n_theta
    assert all(name.startswith("g.") for name in names)
    for deviation in ("sd",) if STRUCTURES[structure.name].homogeneous else effects:
        assert f"g.{deviation}" in names


@pytest.mark.parametrize("at_zero", [False, True])
def test_jacobian_is_the_derivative_of_sigma(structure, phi, at_zero):
    phi = singular(structure, phi) if at_zero else phi
    ours = structure.jacobian(phi)
    assert ours.shape == (len(structure.pairs[0]), structure.n_phi)
    for i, step in enumerate(STEP * np.eye(structure.n_phi)):
        change = sigma(structure, phi + step) - sigma(structure, phi - step)
        np.testing.assert_allclose(ours[:, i], entries(structure, change) / (2 * STEP), atol=1e-8)


@pytest.mark.parametrize("at_zero", [False, True])
def test_curvature_is_the_second_derivative_of_sigma(structure, phi, at_zero, rng):
    phi = singular(structure, phi) if at_zero else phi
    D = gradient_matrix(rng, structure.k)
    weights = structure.multiplicity * entries(structure, D)
    ours = structure.curvature(phi, D)
    assert ours.shape == (structure.n_phi, structure.n_phi)
    np.testing.assert_allclose(ours, ours.T)
    for i, step in enumerate(STEP * np.eye(structure.n_phi)):
        change = structure.jacobian(phi + step) - structure.jacobian(phi - step)
        np.testing.assert_allclose(ours[i], weights @ change / (2 * STEP), atol=1e-8)


def test_free_entries_are_those_that_move(structure, phi):
    moving = np.abs(structure.jacobian(phi)).max(axis=1) > 0.0
    np.testing.assert_array_equal(np.asarray(structure.free_entries, dtype=bool), moving)


def test_directions_and_speeds_make_the_jacobian(structure, phi):
    directions, speeds = structure.directions(phi), structure.speeds(phi)
    np.testing.assert_array_equal(directions, directions.transpose(0, 2, 1))
    moved = np.einsum("tab,tp->pab", directions, speeds)
    rows, columns = structure.pairs
    np.testing.assert_allclose(moved[:, rows, columns].T, structure.jacobian(phi), atol=1e-12)
    assert structure.free_directions.shape == (len(directions),)


def test_coordinates_make_sigma_of_directions(structure, phi):
    made = np.einsum("tab,t->ab", structure.directions(phi), structure.coordinates(phi))
    np.testing.assert_allclose(made, sigma(structure, phi), atol=1e-12)


def test_moments_give_starting_values_within_limits(structure, phi):
    directions = structure.moment_directions()
    assert directions.shape[1:] == (structure.k, structure.k)
    start = structure.from_moments(sigma(structure, phi), 0.1, 30.0)
    assert start.shape == (structure.n_phi,)
    found = np.linalg.eigvalsh(sigma(structure, start))
    assert found[0] >= -1e-12
    assert found[-1] <= 30.0**2 * structure.k * (1 + 1e-12)
    for other in structure.candidates(start):
        assert other.shape == start.shape
        np.testing.assert_allclose(
            np.diag(sigma(structure, other)), np.diag(sigma(structure, start)), rtol=1e-12
        )


def test_variants_are_the_same_family():
    for name, kind in STRUCTURES.items():
        assert variant(name, kind.homogeneous) == name
        other = variant(name, not kind.homogeneous)
        assert other is None or STRUCTURES[other].family == kind.family


def null_space(matrix):
    _, size, right = np.linalg.svd(matrix)
    return right[np.sum(size > 1e-9 * size[0]) :]


def test_effective_directions_complement_those_that_leave_sigma_alone(structure, phi):
    """At a regular point: orthonormal, and exactly the row space of the Jacobian."""
    basis, jacobian = structure.effective(phi), structure.jacobian(phi)
    assert basis.shape == (structure.n_phi, np.linalg.matrix_rank(jacobian))
    np.testing.assert_allclose(basis.T @ basis, np.eye(basis.shape[1]), atol=1e-12)
    idle = null_space(jacobian)
    assert len(idle) + basis.shape[1] == structure.n_phi
    np.testing.assert_allclose(idle @ basis, 0.0, atol=1e-9)


@pytest.mark.parametrize("size", [0.0, 1.0])
def test_effective_directions_keep_all_that_matters_at_a_singular_point(structure, size, rng):
    """Directions that change Sigma at second order only must stay among them."""
    phi = singular(structure, structure.start(size))
    basis = structure.effective(phi)
    np.testing.assert_allclose(basis.T @ basis, np.eye(basis.shape[1]), atol=1e-12)
    left_out = np.eye(structure.n_phi) - basis @ basis.T
    direction = left_out @ rng.normal(size=structure.n_phi)
    for length in (1e-3, 1e-4):
        moved = sigma(structure, phi + length * direction) - sigma(structure, phi)
        tangent = structure.jacobian(phi) @ direction
        np.testing.assert_allclose(tangent, 0.0, atol=1e-12)
        # a rotation leaves Sigma alone up to second order of its own length
        assert np.abs(moved).max() <= 10.0 * length**2 * (direction @ direction) * size**2 + 1e-15


@pytest.mark.parametrize("wanted", [False, True])
def test_snap_leaves_sigma_alone_when_nothing_is_small(structure, phi, wanted):
    D = (-1.0 if wanted else 1.0) * np.eye(structure.k)
    tolerance = 0.5 * np.linalg.svd(structure.factor(phi), compute_uv=False)[-1]
    ours = structure.snap(phi, D, tolerance)
    np.testing.assert_array_equal(ours, phi)


def small_first_effect(structure, rng):
    """Return parameters whose first effect (all, where equal) has a deviation of 1e-5."""
    sizes = np.array([1e-5, *rng.uniform(0.5, 2.0, structure.k - 1)])
    if not isinstance(structure, Correlated):
        return structure.from_template(np.diag(sizes))
    phi = structure.start()
    phi[: structure.n_sd] = sizes[: structure.n_sd]
    return phi


def test_snap_zeroes_what_the_gradient_does_not_want(structure, rng):
    phi = small_first_effect(structure, rng)
    before = phi.copy()
    ours = sigma(structure, structure.snap(phi, np.eye(structure.k), 1e-3))
    np.testing.assert_array_equal(phi, before)
    assert (ours[0] == 0.0).all()
    assert (ours[:, 0] == 0.0).all()
    if not STRUCTURES[structure.name].homogeneous:
        expected = sigma(structure, phi)[1:, 1:]
        np.testing.assert_allclose(ours[1:, 1:], expected, rtol=1e-12, atol=1e-12)


def test_snap_keeps_what_the_gradient_wants(structure, rng):
    phi = small_first_effect(structure, rng)
    D = np.eye(structure.k)
    if STRUCTURES[structure.name].homogeneous:
        D = -D
    D[0, 0] = -1.0
    np.testing.assert_array_equal(structure.snap(phi, D, 1e-3), phi)


def test_inputs_are_left_alone(structure, phi, rng):
    before = phi.copy()
    D = gradient_matrix(rng, structure.k)
    structure.jacobian(phi)
    structure.curvature(phi, D)
    structure.effective(phi)
    structure.snap(phi, D, 0.1)
    structure.theta(lower(sigma(structure, phi)))
    np.testing.assert_array_equal(phi, before)
