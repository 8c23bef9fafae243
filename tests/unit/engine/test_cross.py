"""The block between the first factor and the tail: every storage equals the dense matrix."""

from __future__ import annotations

import numpy as np
import pytest

from lmmformula.engine import Objective, assemble, cross
from lmmformula.engine.cross import DenseCross, NoCross, SparseCross
from tests.unit.engine.cases import CASES, Dense

SINGLE = ["crossed", "partly crossed", "three factors", "mixed structures"]
COMPONENTS = ["nested", "nested in three levels", "sparse"]


def _dense(monkeypatch):
    monkeypatch.setattr(cross, "DENSE_FRACTION", -1.0)


def _chunked(monkeypatch):
    monkeypatch.setattr(cross, "DENSE_FRACTION", 2.0)
    monkeypatch.setattr(cross, "SPARSE_MAP_LIMIT", -1)
    monkeypatch.setattr(cross, "CHUNK_ELEMENTS", 4)


def _sparse(monkeypatch):
    monkeypatch.setattr(cross, "DENSE_FRACTION", 2.0)


STORAGES = {"dense": _dense, "chunked": _chunked, "sparse": _sparse}
FORMS = [(name, form) for name in SINGLE for form in STORAGES]
FORMS += [(name, "sparse") for name in COMPONENTS]


@pytest.fixture(params=FORMS, ids=lambda pair: f"{pair[0]}, {pair[1]}")
def case(request, monkeypatch):
    """Return the system in one storage, and C as one (k, q_tail) matrix for each level."""
    name, form = request.param
    STORAGES[form](monkeypatch)
    system = assemble([CASES[name]])
    expected = SparseCross if form == "sparse" else DenseCross
    assert type(system.cross) is expected
    if form == "chunked":
        assert len(list(system.cross._chunks())) > 1
    twin = Dense(CASES[name], system, [], True)
    C = twin.Z[0].T @ np.hstack(twin.Z[1:])
    return system, C.reshape(system.first.n_levels, system.first.k, -1)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def as_matrix(tail, flat):
    """Flat storage written out as a (q_tail, q_tail) matrix."""
    matrix = np.zeros((tail.n_columns + 1,) * 2)
    for bucket, block in zip(tail.buckets, tail.blocks(flat), strict=True):
        matrix[bucket.columns[:, :, None], bucket.columns[:, None, :]] = block
    return matrix[:-1, :-1]


def random_flat(rng, tail):
    """Symmetric blocks in flat storage, garbage in the padding."""
    flat = rng.normal(size=tail.storage)
    for block in tail.blocks(flat):
        block += block.transpose(0, 2, 1).copy()
    return flat


def close(ours, expected):
    np.testing.assert_allclose(ours, expected, rtol=1e-11, atol=1e-11 * np.abs(expected).max())


def test_schur(case, rng):
    system, C = case
    k, _, J = system.gram.shape
    root = rng.normal(size=(k, k, J))
    KC = np.einsum("abj,jbc->jac", root, C)
    close(as_matrix(system.tail, system.cross.schur(root)), np.einsum("jac,jad->cd", KC, KC))


def test_adjoint(case, rng):
    system, C = case
    flat = random_flat(rng, system.tail)
    B = as_matrix(system.tail, flat)
    close(system.cross.adjoint(flat), np.einsum("jac,cd,jbd->abj", C, B, C))


def test_times(case, rng):
    system, C = case
    values = rng.normal(size=(system.tail.n_columns, 3))
    close(system.cross.times(values), np.einsum("jac,ct->atj", C, values))


def test_transpose_times(case, rng):
    system, C = case
    blocks = rng.normal(size=(system.first.k, 3, system.first.n_levels))
    close(system.cross.transpose_times(blocks), np.einsum("jac,atj->ct", C, blocks))


def test_grams(case, rng):
    system, C = case
    k, _, J = system.gram.shape
    left = rng.normal(size=(k, k, J))
    EC = np.einsum("abj,jbc->jac", left, C)
    ours = list(system.cross.grams(left, system.first.directions))
    assert len(ours) == len(system.first.directions)
    for flat, D in zip(ours, system.first.directions, strict=True):
        close(as_matrix(system.tail, flat), np.einsum("jac,ab,jbd->cd", EC, D, EC))


@pytest.mark.parametrize("name", SINGLE)
@pytest.mark.parametrize("exact", [True, False])
def test_criterion_and_derivatives_do_not_depend_on_the_storage(name, exact, monkeypatch):
    found = []
    for form in STORAGES.values():
        with monkeypatch.context() as patch:
            form(patch)
            objective = Objective(assemble([CASES[name]]))
        phi = objective.start(0.8) + 0.1 * np.arange(objective.n_phi)
        point = objective.evaluate(phi)
        found.append((point.value, point.gradient, point.hessian(exact=exact)))
    for value, gradient, hessian in found[1:]:
        assert value == pytest.approx(found[0][0], rel=1e-12)
        close(gradient, found[0][1])
        close(hessian, found[0][2])


class TestChoice:
    """Which storage is chosen when nothing is forced."""

    def test_full_crossing_is_dense(self):
        assert type(assemble([CASES["crossed"]]).cross) is DenseCross

    @pytest.mark.parametrize("name", COMPONENTS)
    def test_components_are_sparse(self, name):
        assert type(assemble([CASES[name]]).cross) is SparseCross

    def test_one_factor_has_none(self):
        assert type(assemble([CASES["one factor"]]).cross) is NoCross
