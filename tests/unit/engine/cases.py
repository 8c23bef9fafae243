"""Small designs of every elimination structure, and the engine's quantities from dense matrices.

Everything dense is built from rows in the working basis, with nothing of the engine but its
layout and its basis, so that agreement means something.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from lmmformula.engine import BlockedSystem, Objective, assemble
from lmmformula.engine.layout import FactorLayout
from lmmformula.engine.objective import Point
from lmmformula.matrices import ModelMatrices, RandomBlock
from tests import dense
from tests.properties.designs import make

Array = NDArray[np.float64]


def block(z: Array, codes: Array, group: str, structure: str = "us") -> RandomBlock:
    """Return a term; codes are renumbered so that every level occurs."""
    levels, codes = np.unique(codes, return_inverse=True)
    names = tuple(f"e{i}" for i in range(z.shape[1]))
    text = f"({' + '.join(names)} | {group})"
    labels = np.array([f"{group}{level}" for level in levels], dtype=object)
    return RandomBlock(z, codes.astype(np.int32), labels, names, group, structure, text)


def matrices(y: Array, X: Array, *random: RandomBlock, weights: Array | None = None):
    """Return a design without offset."""
    names = tuple(f"x{j}" for j in range(X.shape[1]))
    return ModelMatrices(y, X, names, random, weights, None, np.arange(len(y)))


def effects(rng: np.random.Generator, n: int, k: int) -> Array:
    return np.column_stack([np.ones(n), rng.normal(1.0, 2.0, (n, k - 1))])


def simulated(rng: np.random.Generator, p: int, weighted: bool, *random: RandomBlock):
    n = len(random[0].codes)
    X = np.column_stack([np.ones(n), rng.normal(3.0, 1.0, (n, p - 1))])
    y = X @ rng.normal(size=p) + rng.normal(size=n)
    for term in random:
        b = rng.normal(size=(term.n_levels, term.n_effects))
        y = y + np.sum(term.z * b[term.codes], axis=1)
    return matrices(y, X, *random, weights=rng.uniform(0.5, 2.0, n) if weighted else None)


def _nested_three(seed: int) -> ModelMatrices:
    """Pupils in classes in schools: a block-diagonal tail of uneven components."""
    rng = np.random.default_rng(seed)
    n = 90
    classes = rng.integers(0, 14, n)
    schools = np.minimum(classes // 3, 3)
    pupils = classes * 3 + rng.integers(0, 3, n)
    return simulated(
        rng,
        2,
        True,
        block(effects(rng, n, 1), pupils, "pupil"),
        block(effects(rng, n, 2), classes, "class"),
        block(effects(rng, n, 2), schools, "school"),
    )


def _sparse(seed: int) -> ModelMatrices:
    """Levels that mostly occur once each: many components of several sizes, two effects."""
    rng = np.random.default_rng(seed)
    n = 90
    pairs = np.arange(n) // 2
    coarse = pairs % 15 + 15 * (rng.random(n) < 0.1)
    return simulated(
        rng,
        1,
        False,
        block(effects(rng, n, 1), pairs, "pair"),
        block(effects(rng, n, 2), coarse, "coarse"),
    )


def related(term: RandomBlock, seed: int, rank: int | None = None) -> RandomBlock:
    """The term with a random relationship between its levels, singular where a rank is given."""
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(term.n_levels, rank or 2 * term.n_levels))
    return replace(
        term, relationship=np.linalg.qr(root.T, mode="r").T if rank is None else _square(root)
    )


def _square(root: Array) -> Array:
    """A square factor of root @ root.T."""
    padded = np.zeros((len(root), len(root)))
    padded[:, : root.shape[1]] = root
    return padded


def _related(seed: int, *, crossed: bool, rank: int | None = None) -> ModelMatrices:
    """Animals with a pedigree, alone or crossed with herds and repeated within litters."""
    rng = np.random.default_rng(seed)
    n = 90
    animal = related(block(effects(rng, n, 2), rng.integers(0, 13, n), "animal"), seed, rank)
    extra = related(block(rng.normal(size=(n, 1)), animal.codes, "animal"), seed, rank)
    if not crossed:
        return simulated(rng, 2, False, animal, extra)
    herd = block(effects(rng, n, 1), rng.integers(0, 6, n), "herd")
    sire = related(block(effects(rng, n, 1), rng.integers(0, 5, n), "sire"), seed + 1)
    litter = block(effects(rng, n, 2), rng.integers(0, 25, n), "litter")
    return simulated(rng, 2, True, litter, animal, herd, sire)


def _mixed_structures(seed: int) -> ModelMatrices:
    """Terms of both structures on crossed factors, two of them on one factor."""
    rng = np.random.default_rng(seed)
    n = 90
    a, b = rng.integers(0, 12, n), rng.integers(0, 7, n)
    return simulated(
        rng,
        3,
        True,
        block(effects(rng, n, 2), a, "a", "diag"),
        block(rng.normal(size=(n, 1)), a, "a"),
        block(effects(rng, n, 2), b, "b"),
        block(rng.normal(size=(n, 2)), b, "b", "diag"),
    )


CASES: dict[str, ModelMatrices] = {
    "one factor": make(3, "single", False, False, "us"),
    "one factor, weights and offset": make(8, "single", True, True, "us"),
    "uncorrelated": make(5, "single", False, False, "diag"),
    "two terms on a factor": make(6, "two terms", False, False, "us"),
    "nested": make(4, "nested", False, True, "us"),
    "nested in three levels": _nested_three(1),
    "crossed": make(9, "crossed", True, False, "us"),
    "partly crossed": make(10, "partly crossed", False, False, "us"),
    "three factors": make(11, "three factors", False, False, "us"),
    "sparse": _sparse(2),
    "mixed structures": _mixed_structures(3),
    "related": _related(5, crossed=False),
    "related, singular": _related(6, crossed=False, rank=7),
    "related, crossed": _related(7, crossed=True),
}


def draw(objective: Objective, seed: int, size: float = 0.4) -> Array:
    """Draw optimizer's parameters around the identity."""
    rng = np.random.default_rng(seed)
    return objective.start(1.0) + size * rng.normal(size=objective.n_phi)


def with_zeros(objective: Objective, phi: Array) -> Array:
    """Make every second factor singular: its first row becomes zero."""
    phi, position = phi.copy(), 0
    for term in objective.system.terms:
        size = term.structure.n_phi
        if term.index % 2 == 0:
            k = term.structure.k
            phi[position : position + (1 if size == k else k)] = 0.0
        position += size
    return phi


@dataclass(frozen=True)
class Dense:
    """The criterion's pieces at one point, written out with n x n matrices (working basis)."""

    matrices: ModelMatrices
    system: BlockedSystem
    factors: list[Array]
    reml: bool

    @classmethod
    def at(cls, point: Point, rows: ModelMatrices) -> Dense:
        """Return the dense twin of an evaluated point."""
        objective = point.objective
        return cls(rows, objective.system, objective.factors(point.phi), objective.reml)

    @cached_property
    def root(self) -> Array:
        w = self.matrices.weights
        return np.ones(self.matrices.n_obs) if w is None else np.sqrt(w)

    @cached_property
    def X(self) -> Array:
        return self.root[:, None] * (self.matrices.X @ self.system.basis.fixed)

    @cached_property
    def y(self) -> Array:
        basis = self.system.basis
        left = self.matrices.working_response - self.matrices.X @ basis.beta
        return self.root * left / basis.scale

    def columns(self, factor: FactorLayout) -> Array:
        """Z of a grouping factor with all of its terms, level by level (of u if related)."""
        if not factor.terms:
            return np.zeros((self.matrices.n_obs, 0))
        random, basis = self.matrices.random, self.system.basis.random
        z = np.hstack([random[t.index].z @ basis[t.index] for t in factor.terms])
        return self.root[:, None] * dense.sources(random[factor.terms[0].index], z)

    @cached_property
    def Z(self) -> list[Array]:
        """Z of every grouping factor, elimination order."""
        return [self.columns(factor) for factor in self.system.factors]

    @cached_property
    def Sigma(self) -> list[Array]:
        """Relative covariance of one level of every grouping factor."""
        by_term = dict(enumerate(self.factors))
        merged = [factor.merged(by_term) for factor in self.system.factors]
        return [Lambda @ Lambda.T for Lambda in merged]

    @cached_property
    def H_inverse(self) -> Array:
        H = np.eye(self.matrices.n_obs)
        for factor, Z, Sigma in zip(self.system.factors, self.Z, self.Sigma, strict=True):
            H += Z @ np.kron(np.eye(factor.n_levels), Sigma) @ Z.T
        return np.linalg.inv(H)

    @cached_property
    def P_full(self) -> Array:
        HX = self.H_inverse @ self.X
        return self.H_inverse - HX @ np.linalg.solve(self.X.T @ HX, HX.T)

    @property
    def P(self) -> Array:
        """The projection of the traces: P for REML, H^-1 for ML."""
        return self.P_full if self.reml else self.H_inverse

    @cached_property
    def r(self) -> Array:
        return self.P_full @ self.y

    @property
    def s(self) -> float:
        return float(self.y @ self.r)

    @property
    def nu(self) -> int:
        return self.matrices.n_obs - (self.matrices.p if self.reml else 0)

    @cached_property
    def directions(self) -> list[Array]:
        """dH for every entry of every term's Sigma (upper triangles), model order."""
        found = {}
        for factor, Z in zip(self.system.factors, self.Z, strict=True):
            start = 0
            for term in factor.terms:
                n = len(term.structure.multiplicity)
                unit = factor.directions[start : start + n]
                eye = np.eye(factor.n_levels)
                found[term.index] = [Z @ np.kron(eye, D) @ Z.T for D in unit]
                start += n
        return [dH for index in sorted(found) for dH in found[index]]

    @cached_property
    def gradient(self) -> Array:
        """df/dSigma, entry by entry."""
        r, scale = self.r, self.nu / self.s
        return np.array([np.sum(self.P * dH) - scale * (r @ dH @ r) for dH in self.directions])

    def hessian(self, *, exact: bool) -> Array:
        """Second derivatives in the entries of Sigma, or the average information."""
        r, s, nu = self.r, self.s, self.nu
        products = [self.P @ dH for dH in self.directions]
        forms = np.array([r @ dH @ r for dH in self.directions])
        rows = np.stack([dH @ r for dH in self.directions])
        quadratic = nu / s * rows @ self.P_full @ rows.T
        common = -nu / s**2 * np.outer(forms, forms)
        if not exact:
            return quadratic + common
        traces = np.array([[np.sum(A * B.T) for B in products] for A in products])
        return 2.0 * quadratic + common - traces


def evaluated(name: str, reml: bool, seed: int = 1, *, singular: bool = False) -> tuple:
    """Return (point, dense twin) of a case at random parameters."""
    rows = CASES[name]
    objective = Objective(assemble([rows]), reml)
    phi = draw(objective, seed)
    point = objective.evaluate(with_zeros(objective, phi) if singular else phi)
    return point, Dense.at(point, rows)
