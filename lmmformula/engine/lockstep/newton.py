"""Newton's method for many replicates in lockstep.

Every replicate takes its own steps (average information until the criterion falls slowly, then the
exact Hessian, |eigenvalues|, its own step halving), but all are computed together. Replicates that
have arrived leave the batch. Those that the plain method cannot settle (saddles, stalls, failures
of the arithmetic) are left to the ordinary optimizer, which the caller runs one by one.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from lmmformula._arrays import BoolArray, FloatArray, IntArray
from lmmformula.engine.lockstep.derivatives import derivatives, trace_coefficients
from lmmformula.engine.lockstep.evaluation import LockstepEvaluation
from lmmformula.engine.lockstep.stack import ReplicateStack
from lmmformula.engine.lockstep.structures import batched
from lmmformula.engine.system import BlockedSystem
from lmmformula.engine.threads import limited_threads

__all__ = ["LockstepSolution", "minimize_lockstep", "replicates_per_batch"]

TOLERANCE = 1e-12
AVERAGE_UNTIL = 0.5
MAX_STEP = 4.0
MAX_ROUNDS = 40
FLAT = 1e-8
SNAP = 1e-3
BATCH_ELEMENTS = 1 << 18
LARGEST_BORDER = 90
"""Columns beside the first factor, measured: beyond it fits one by one are faster."""
LARGEST_BLOCK = 6


@dataclass(frozen=True, slots=True, eq=False)
class LockstepSolution:
    """Where every replicate ended.

    Attributes
    ----------
    phi : ndarray, shape (R, n_phi)
        Optimizer's parameters.
    value : ndarray, shape (R,)
        Criterion.
    beta : ndarray, shape (R, p)
        Fixed effects, working basis.
    sigma2 : ndarray, shape (R,)
        Residual variance, working units.
    settled : ndarray of bool, shape (R,)
        A proven local minimum; the others need the ordinary optimizer.
    n_rounds : int
        Batched evaluations.
    """

    phi: FloatArray
    value: FloatArray
    beta: FloatArray
    sigma2: FloatArray
    settled: BoolArray
    n_rounds: int


@dataclass(slots=True, eq=False)
class _Points:
    """State of the replicates still at work; every array has the replicate as its first axis."""

    phi: FloatArray
    value: FloatArray
    beta: FloatArray
    sigma2: FloatArray
    gradient: FloatArray
    average: FloatArray
    exact: FloatArray
    blocks: list[FloatArray]

    def take(self, index: IntArray | BoolArray) -> _Points:
        arrays = {f.name: getattr(self, f.name)[index] for f in fields(self)[:-1]}
        return _Points(**arrays, blocks=[block[index] for block in self.blocks])

    def put(self, mask: BoolArray, other: _Points) -> None:
        """Overwrite the replicates in ``mask`` with theirs in ``other``."""
        for f in fields(self)[:-1]:
            getattr(self, f.name)[mask] = getattr(other, f.name)[mask]
        for mine, theirs in zip(self.blocks, other.blocks, strict=True):
            mine[mask] = theirs[mask]


def replicates_per_batch(system: BlockedSystem) -> int:
    """How many replicates of a design to take at once; 0 where lockstep does not pay."""
    if not system.first.terms or system.residual is not None or system.tail.kind == "sparse":
        return 0
    k, J = system.first.k, system.first.n_levels
    border = system.tail.n_columns + system.p
    if border > LARGEST_BORDER or any(factor.k > LARGEST_BLOCK for factor in system.factors):
        return 0
    elements = J * k * (2 * k + border) + 4 * border**2
    if elements > 4 * BATCH_ELEMENTS and system.tail.n_columns:
        return 0
    return int(np.clip(BATCH_ELEMENTS // elements, 1, 500))


class _Problem:
    """The criterion of a stack as a function of the optimizer's parameters."""

    def __init__(self, system: BlockedSystem, reml: bool) -> None:
        self.system, self.reml = system, reml
        self.structures = [batched(term.structure) for term in system.terms]
        ends = np.cumsum([term.structure.n_phi for term in system.terms])
        self.slices = [
            slice(int(end) - term.structure.n_phi, int(end))
            for term, end in zip(system.terms, ends, strict=True)
        ]
        self.n_phi = int(ends[-1])
        self.coefficients = trace_coefficients(system.first.directions)

    def evaluate(self, stack: ReplicateStack, phi: FloatArray) -> _Points:
        factors = self._merged(phi)
        evaluation = LockstepEvaluation(stack, factors, self.reml)
        found = derivatives(evaluation, self.coefficients)
        blocks = self._by_term(found.blocks)
        order = self.system.entry_order
        average, exact = found.average, found.exact
        if order is not None:
            index = np.ix_(np.arange(len(phi)), order, order)
            average, exact = average[index], exact[index]
        jacobian, curvature, gradient = self._chain(phi, blocks)
        return _Points(
            phi=phi,
            value=evaluation.value,
            beta=evaluation.beta,
            sigma2=evaluation.pwrss / evaluation.nu,
            gradient=gradient,
            average=_sandwich(jacobian, average) + curvature,
            exact=_sandwich(jacobian, exact) + curvature,
            blocks=blocks,
        )

    def _merged(self, phi: FloatArray) -> list[FloatArray]:
        """Lambda of every factor, elimination order."""
        by_term = [
            structure.factor(phi[:, piece])
            for structure, piece in zip(self.structures, self.slices, strict=True)
        ]
        merged = []
        for factor in self.system.factors:
            if len(factor.terms) == 1:
                merged.append(by_term[factor.terms[0].index])
                continue
            Lambda = np.zeros((len(phi), factor.k, factor.k))
            for term in factor.terms:
                Lambda[:, term.columns, term.columns] = by_term[term.index]
            merged.append(Lambda)
        return merged

    def _by_term(self, per_factor: list[FloatArray]) -> list[FloatArray]:
        blocks = {
            term.index: np.ascontiguousarray(block[:, term.columns, term.columns])
            for factor, block in zip(self.system.factors, per_factor, strict=True)
            for term in factor.terms
        }
        return [blocks[index] for index in range(len(blocks))]

    def _chain(
        self, phi: FloatArray, blocks: list[FloatArray]
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """dSigma/dphi of all terms, what curves Sigma, and the gradient in phi."""
        n_entries = sum(len(term.structure.multiplicity) for term in self.system.terms)
        jacobian = np.zeros((len(phi), n_entries, self.n_phi))
        curvature = np.zeros((len(phi), self.n_phi, self.n_phi))
        gradient = np.empty((len(phi), self.n_phi))
        start = 0
        for structure, piece, block in zip(self.structures, self.slices, blocks, strict=True):
            rows, columns = structure.structure.pairs
            part = structure.jacobian(phi[:, piece])
            jacobian[:, start : start + len(rows), piece] = part
            curvature[:, piece, piece] = structure.curvature(phi[:, piece], block)
            entries = structure.structure.multiplicity * block[:, rows, columns]
            gradient[:, piece] = np.matmul(entries[:, None, :], part)[:, 0]
            start += len(rows)
        return jacobian, curvature, gradient

    def projector(self, phi: FloatArray) -> FloatArray:
        """Projection that leaves the rotations out, (R, n_phi, n_phi)."""
        projector = np.zeros((len(phi), self.n_phi, self.n_phi))
        for structure, piece in zip(self.structures, self.slices, strict=True):
            projector[:, piece, piece] = structure.projector(phi[:, piece])
        return projector

    def snapped(self, phi: FloatArray, blocks: list[FloatArray]) -> FloatArray:
        """``phi`` with tiny variances set to zero where the gradient does not want them."""
        snapped = np.empty_like(phi)
        for structure, piece, block in zip(self.structures, self.slices, blocks, strict=True):
            snapped[:, piece] = structure.snap(phi[:, piece], block, SNAP)
        return snapped


def _sandwich(jacobian: FloatArray, entries: FloatArray) -> FloatArray:
    product = np.swapaxes(jacobian, 1, 2) @ entries @ jacobian
    return 0.5 * (product + np.swapaxes(product, 1, 2))


@dataclass(slots=True, eq=False)
class _Spectra:
    """Eigenvalues of the Hessians beside the rotations."""

    values: FloatArray
    vectors: FloatArray
    gradient: FloatArray
    curvature: FloatArray
    floor: FloatArray
    decrement: FloatArray

    @classmethod
    def of(cls, hessian: FloatArray, projector: FloatArray, points: _Points) -> _Spectra:
        inner = projector @ hessian @ projector
        inner = 0.5 * (inner + np.swapaxes(inner, 1, 2))
        bound = np.abs(inner).sum(axis=2).max(axis=1)
        rest = np.eye(inner.shape[1]) - projector
        values, vectors = np.linalg.eigh(inner + (2.0 * bound + 1.0)[:, None, None] * rest)
        gradient = np.matmul(points.gradient[:, None, :], vectors)[:, 0]
        largest = np.where(values <= 1.5 * bound[:, None], np.abs(values), 0.0).max(axis=1)
        size = 1.0 / (1.0 + np.sum(points.phi**2, axis=1))
        floor = FLAT * np.maximum(largest, size)
        curvature = np.maximum(np.abs(values), floor[:, None])
        decrement = 0.5 * np.sum(gradient**2 / curvature, axis=1)
        return cls(values, vectors, gradient, curvature, floor, decrement)

    @property
    def is_minimum(self) -> BoolArray:
        """No direction of descent beside the rotations."""
        return np.asarray(self.values[:, 0] >= -1e3 * self.floor)

    @property
    def is_flat(self) -> BoolArray:
        """Some direction beside the rotations has no curvature."""
        return np.asarray((np.abs(self.values) <= 10.0 * self.floor[:, None]).any(axis=1))

    def step(self, radius: FloatArray) -> tuple[FloatArray, FloatArray]:
        """|Newton| steps within the radii, and the decrease that they promise."""
        shift = np.zeros(len(radius))
        step = -self.gradient / self.curvature
        for _ in range(30):
            length = np.linalg.norm(step, axis=1)
            long = length > 1.001 * radius
            if not long.any():
                break
            slope = np.sum(self.gradient**2 / (self.curvature + shift[:, None]) ** 3, axis=1)
            more = (length / radius - 1.0) * length**2 / np.maximum(slope, 1e-300)
            shift = np.where(long, shift + more, shift)
            step = -self.gradient / (self.curvature + shift[:, None])
        promised = -np.sum(self.gradient * step + 0.5 * self.values * step**2, axis=1)
        return np.matmul(self.vectors, step[:, :, None])[:, :, 0], promised


class _Run:
    """The loop; ``where`` maps the batch to the stack's replicates."""

    def __init__(self, stack: ReplicateStack, start: FloatArray, reml: bool) -> None:
        self.problem = _Problem(stack.system, reml)
        n = len(stack)
        self.stack, self.where = stack, np.arange(n)
        self.tolerance = np.maximum(TOLERANCE, 2e-16 * stack.n_obs)
        self.points = self.problem.evaluate(
            stack, np.array(np.broadcast_to(start, (n, len(start))))
        )
        self.is_exact = np.zeros(n, dtype=np.bool_)
        self.radius = np.full(n, MAX_STEP)
        self.result = LockstepSolution(
            phi=np.array(self.points.phi),
            value=np.full(n, np.inf),
            beta=np.zeros_like(self.points.beta),
            sigma2=np.full(n, np.nan),
            settled=np.zeros(n, dtype=np.bool_),
            n_rounds=0,
        )
        self._leave(~self._usable())

    def _usable(self) -> BoolArray:
        points = self.points
        finite = np.isfinite(points.value) & np.isfinite(points.gradient).all(axis=1)
        return np.asarray(finite & np.isfinite(points.exact).all(axis=(1, 2)))

    def run(self) -> LockstepSolution:
        rounds = 0
        while len(self.where) and rounds < MAX_ROUNDS:
            rounds += 1
            spectra = self._spectra()
            stationary = (spectra.decrement <= self.tolerance) & self.is_exact
            arrived = stationary & spectra.is_minimum & ~spectra.is_flat
            self._record(arrived)
            stay = ~stationary
            if not stay.all():
                step, promised = spectra.step(self.radius)
                self._leave(~stay)
                step, promised = step[stay], promised[stay]
            else:
                step, promised = spectra.step(self.radius)
            if len(self.where):
                self._move(step, promised)
        return LockstepSolution(
            **{f.name: getattr(self.result, f.name) for f in fields(self.result)[:-1]},
            n_rounds=rounds,
        )

    def _spectra(self) -> _Spectra:
        points = self.points
        projector = self.problem.projector(points.phi)
        hessian = np.where(self.is_exact[:, None, None], points.exact, points.average)
        spectra = _Spectra.of(hessian, projector, points)
        late = ~self.is_exact & (spectra.decrement <= 1e-3 * AVERAGE_UNTIL)
        if late.any():
            self.is_exact |= late
            redone = _Spectra.of(points.exact[late], projector[late], points.take(late))
            for f in fields(spectra):
                getattr(spectra, f.name)[late] = getattr(redone, f.name)
        return spectra

    def _move(self, step: FloatArray, promised: FloatArray) -> None:
        points = self.points
        noise = 1e-12 * (1.0 + np.abs(points.value))
        trial = self.problem.snapped(points.phi + step, points.blocks)
        length = np.linalg.norm(trial - points.phi, axis=1)
        moved = self.problem.evaluate(self.stack, trial)
        usable = np.isfinite(moved.value) & np.isfinite(moved.gradient).all(axis=1)
        usable &= np.isfinite(moved.exact).all(axis=(1, 2))
        accepted = usable & (moved.value <= points.value + noise)
        decrease = np.where(accepted, points.value - np.where(usable, moved.value, 0.0), 0.0)
        stuck = ~accepted & (promised <= noise) & self.is_exact
        stuck |= length <= 1e-14 * (1.0 + np.linalg.norm(points.phi, axis=1))
        good = accepted & (decrease > 0.5 * promised) & (length > 0.8 * self.radius)
        self.radius = np.where(good, 3.0 * self.radius, self.radius)
        size = 0.5 * np.linalg.norm(trial, axis=1)
        self.radius = np.where(accepted, np.maximum(self.radius, size), 0.3 * length)
        self.is_exact |= ~accepted | (decrease < AVERAGE_UNTIL)
        points.put(accepted, moved)
        self._leave(stuck)

    def _record(self, mask: BoolArray) -> None:
        index = self.where[mask]
        for name in ("phi", "value", "beta", "sigma2"):
            getattr(self.result, name)[index] = getattr(self.points, name)[mask]
        self.result.settled[index] = True

    def _leave(self, mask: BoolArray) -> None:
        if not mask.any():
            return
        stay = np.flatnonzero(~mask)
        self.where, self.stack = self.where[stay], self.stack.take(stay)
        self.points = self.points.take(stay)
        self.is_exact, self.radius = self.is_exact[stay], self.radius[stay]
        self.tolerance = self.tolerance[stay]


def minimize_lockstep(stack: ReplicateStack, start: FloatArray, reml: bool) -> LockstepSolution:
    """Minimize the criterion of every replicate, all together.

    Parameters
    ----------
    stack : ReplicateStack
    start : ndarray, shape (n_phi,)
        Optimizer's parameters to start from, the same for all.
    reml : bool

    Returns
    -------
    LockstepSolution
    """
    with limited_threads(), np.errstate(all="ignore"):
        return _Run(stack, start, reml).run()
