"""Three ways to make a replicate: draw from the model, resample residuals, resample clusters."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from lmmformula._arrays import FloatArray, IntArray
from lmmformula.design import Design
from lmmformula.engine import BlockedSystem, Estimates, assemble
from lmmformula.engine.lockstep.draws import ResponseSampler
from lmmformula.engine.lockstep.stack import level_products, resampled_stack
from lmmformula.errors import LMMError, OptionError
from lmmformula.inference.bootstrap.fits import Failure, Fits, ModelFitter
from lmmformula.inference.bootstrap.run import Blocks
from lmmformula.matrices import ModelMatrices, RandomBlock, ResidualRows
from lmmformula.postfit.predict import linear_predictor, random_part
from lmmformula.postfit.requirements import require_random_effects
from lmmformula.postfit.residual_structure import structure_of
from lmmformula.postfit.simulate import simulate

__all__ = [
    "CaseBlocks",
    "ParametricBlocks",
    "ResidualBlocks",
    "jackknife_levels",
    "top_level_factor",
]

DEFICIENT = 1e-10
NEGLIGIBLE = 1e-10
RANK_SENTENCE = "the resampled rows do not identify every fixed effect"


class ParametricBlocks(Blocks):
    """Random effects and errors drawn anew from the fitted model."""

    def __init__(self, fitter: ModelFitter, design: Design, estimates: Estimates) -> None:
        self.fitter, self.design, self.estimates = fitter, design, estimates
        self.sampler = None
        if fitter.batch:
            e = estimates
            self.sampler = ResponseSampler(fitter.system, e.beta, e.templates, e.sigma)

    @property
    def size(self) -> int:
        """As many as lockstep takes at once."""
        return self.fitter.batch or self.fitter.n_rows_at_once

    def run(self, n: int, seed: np.random.SeedSequence) -> Fits:
        """Draw and fit."""
        if self.sampler is not None:
            return self.fitter.fit_stack(self.sampler.draw(n, seed))
        return self.fitter.fit_responses(self.responses(n, seed))

    def responses(self, n: int, seed: np.random.SeedSequence) -> FloatArray:
        """Responses in rows, (n_obs, n)."""
        return simulate(self.design, self.estimates, n, seed).to_numpy()


class ResidualBlocks(Blocks):
    """Conditional modes and residuals, centred and reflated, resampled with replacement.

    Modes and residuals are shrunken: their empirical covariance is below the estimated one.
    Each term's modes are transformed so that the two agree, the residuals are rescaled
    (Carpenter, Goldstein and Rasbash 2003, section 3.2). With prior weights residuals are
    standardised first, and structured ones are made uncorrelated.
    """

    def __init__(self, fitter: ModelFitter, design: Design, estimates: Estimates) -> None:
        self.fitter, m = fitter, design.matrices
        self.blocks = m.random
        self.modes = [
            reflated(modes, estimates.sigma * template)
            for modes, template in zip(estimates.random, estimates.templates, strict=True)
        ]
        self.fixed = linear_predictor(design, estimates, ())
        groups = {block.group for block in m.random}
        residuals = m.y - linear_predictor(design, estimates, groups)
        self.structure = structure_of(m, estimates)
        self.root = None if m.weights is None else np.sqrt(m.weights)
        if self.structure is not None:
            residuals = estimates.sigma * self.structure.normalized(residuals)
        elif self.root is not None:
            residuals = residuals * self.root
        residuals = residuals - residuals.mean()
        size = float(np.sqrt(np.mean(residuals**2)))
        self.residuals = residuals * (estimates.sigma / size if size > 0.0 else 0.0)
        self.sigma = estimates.sigma

    @property
    def size(self) -> int:
        """Limited by the rows that are held at one time."""
        return self.fitter.n_rows_at_once

    def run(self, n: int, seed: np.random.SeedSequence) -> Fits:
        """Resample and fit."""
        rng = np.random.default_rng(seed)
        n_obs = len(self.fixed)
        responses = np.empty((n_obs, n), order="F")
        for i in range(n):
            modes = [values[rng.integers(len(values), size=len(values))] for values in self.modes]
            errors = self.residuals[rng.integers(n_obs, size=n_obs)]
            if self.structure is not None:
                errors = self.structure.colored(errors / self.sigma)
            elif self.root is not None:
                errors = errors / self.root
            responses[:, i] = self.fixed + random_part(self.blocks, modes, n_obs) + errors
        return self.fitter.fit_responses(responses)


def reflated(modes: FloatArray, factor: FloatArray) -> FloatArray:
    """Centred modes (J, k) with the empirical covariance ``factor @ factor'``.

    Where the covariance is singular the modes lie in its column space; the transformation works
    there and the rest stays zero.
    """
    centred = modes - modes.mean(axis=0)
    left, size, _ = np.linalg.svd(factor)
    keep = size > NEGLIGIBLE * max(float(size[0]), 1e-300)
    if not keep.any() or size[0] <= 0.0:
        return np.zeros_like(centred)
    inside = centred @ (left[:, keep] / size[keep])
    values, vectors = np.linalg.eigh(inside.T @ inside / len(inside))
    roots = np.where(values > NEGLIGIBLE * max(float(values[-1]), 1e-300), values, np.inf) ** -0.5
    return np.asarray(inside @ (vectors * roots) @ vectors.T @ (left[:, keep] * size[keep]).T)


class CaseBlocks(Blocks):
    """Levels of one grouping factor resampled with all their rows.

    A level that is drawn twice becomes two levels. Factors nested in it follow; factors that cross
    it keep their levels.
    """

    def __init__(self, fitter: ModelFitter, cluster: str) -> None:
        self.fitter, self.cluster = fitter, cluster
        m = fitter.matrices
        self.block = next(block for block in m.random if block.group == cluster)
        check_whole_groups(m.residual, self.block)
        self.nested = {block.group for block in m.random if is_nested(block, self.block)}
        self.in_lockstep = bool(fitter.batch) and not fitter.system.tail.factors
        self.level_sums = level_products(fitter.products, m) if self.in_lockstep else None
        self.order = np.argsort(self.block.codes, kind="stable")
        self.starts = np.searchsorted(
            self.block.codes[self.order], np.arange(self.block.n_levels + 1)
        )

    @property
    def size(self) -> int:
        """As many as lockstep takes at once."""
        return max(1, self.fitter.batch // 2) if self.in_lockstep else 10

    def run(self, n: int, seed: np.random.SeedSequence) -> Fits:
        """Resample levels and fit."""
        rng, J = np.random.default_rng(seed), self.block.n_levels
        return self.fit_levels(rng.integers(J, size=(n, J)))

    def fit_levels(self, levels: IntArray) -> Fits:
        """Fit the samples that consist of the given levels, one sample a row."""
        if self.level_sums is None:
            systems = (self._system(drawn) for drawn in levels)
            return self.fitter.fit_systems(systems, len(levels))
        return self._fit_stack(levels)

    def _fit_stack(self, levels: IntArray) -> Fits:
        """In lockstep; samples whose X is deficient fail before that."""
        assert self.level_sums is not None
        stack = resampled_stack(self.fitter.system, self.level_sums, levels)
        values = np.linalg.eigvalsh(stack.border / stack.n_obs[:, None, None])
        deficient = values[:, 0] < DEFICIENT if values.shape[1] else np.zeros(len(stack), bool)
        whole = self.fitter.fit_stack(stack.take(np.flatnonzero(~deficient)))
        if not deficient.any():
            return whole
        where = np.flatnonzero(~deficient)
        failures = [Failure(int(i), RANK_SENTENCE) for i in np.flatnonzero(deficient)]
        failures += [Failure(int(where[f.replicate]), f.reason) for f in whole.failures]
        fits = Fits(
            np.full((len(stack), whole.values.shape[1]), np.nan),
            np.full(len(stack), np.nan),
            np.zeros(len(stack), dtype=np.bool_),
            tuple(sorted(failures, key=lambda failure: failure.replicate)),
        )
        fits.values[where], fits.objective[where] = whole.values, whole.objective
        fits.is_singular[where] = whole.is_singular
        return fits

    def _system(self, drawn: IntArray) -> BlockedSystem | str:
        """The resampled rows as a system, or why there is none."""
        pieces = [self.order[self.starts[level] : self.starts[level + 1]] for level in drawn]
        rows = np.concatenate(pieces)
        copy = np.repeat(np.arange(len(drawn)), [len(piece) for piece in pieces])
        m = self.fitter.matrices
        X = m.X[rows] @ self.fitter.system.basis.fixed
        if m.p and np.linalg.eigvalsh(X.T @ X / len(rows))[0] < DEFICIENT:
            return RANK_SENTENCE
        resampled = replace(
            m,
            y=m.y[rows],
            X=m.X[rows],
            random=tuple(self._block(block, rows, copy) for block in m.random),
            weights=None if m.weights is None else m.weights[rows],
            offset=None if m.offset is None else m.offset[rows],
            rows=m.rows[rows],
            residual=None if m.residual is None else _residual_rows(m.residual, rows, copy),
        )
        try:
            return assemble([resampled])
        except LMMError as error:
            return str(error.message)

    def _block(self, block: RandomBlock, rows: IntArray, copy: IntArray) -> RandomBlock:
        key = block.codes[rows].astype(np.int64)
        if block.group in self.nested:
            key = key + copy * block.n_levels
        found, codes = np.unique(key, return_inverse=True)
        labels = np.array([str(level) for level in found], dtype=object)
        related = block.relationship
        if related is not None:
            related = _row_factor(related[found % block.n_levels])
        return replace(
            block,
            z=block.z[rows],
            codes=codes.astype(np.int32),
            levels=labels,
            relationship=related,
        )


def check_whole_groups(residual: ResidualRows | None, block: RandomBlock) -> None:
    """Refuse clusters that cut through groups of correlated residuals."""
    if residual is None or residual.correlation is None:
        return
    pairs = residual.codes.astype(np.int64) * block.n_levels + block.codes
    if len(np.unique(pairs)) != len(np.unique(residual.codes)):
        raise OptionError(
            f"levels of `{block.group}` cannot be resampled: `{residual.text}` correlates rows of "
            "different ones.",
            got=f"levels of `{residual.group}` in several levels of `{block.group}`",
            suggestion='`kind="parametric"`',
            argument="cluster",
            term=residual.text,
        )


def _residual_rows(residual: ResidualRows, rows: IntArray, copy: IntArray) -> ResidualRows:
    """Structure of resampled rows: the groups of a cluster drawn twice are two groups."""
    key = residual.codes[rows] + copy * len(residual.levels)
    found, codes = np.unique(key, return_inverse=True)
    labels = np.array([str(level) for level in found], dtype=object)
    return replace(residual.taken(rows), codes=codes.astype(np.int32), levels=labels)


def _row_factor(rows: FloatArray) -> FloatArray:
    """Lower-triangular L with ``LL' == rows @ rows.T``, for no more rows than columns."""
    L = np.asarray(np.linalg.qr(rows.T, mode="r")).T
    return np.asarray(L * np.where(np.diag(L) < 0.0, -1.0, 1.0))


def is_nested(inner: RandomBlock, outer: RandomBlock) -> bool:
    """Whether every level of ``inner`` occurs in one level of ``outer`` only."""
    pairs = inner.codes.astype(np.int64) * outer.n_levels + outer.codes
    return len(np.unique(pairs)) == inner.n_levels


def top_level_factor(matrices: ModelMatrices, cluster: str | None, *, what: str) -> str:
    """Name the grouping factor whose levels are independent clusters.

    Parameters
    ----------
    matrices : ModelMatrices
    cluster : str or None
        The caller's choice.
    what : str
        What needs it, for the error.

    Raises
    ------
    OptionError
        An unknown factor, or crossed factors and no choice.
    """
    instead = '`kind="parametric"`'
    require_random_effects(matrices, what, instead)
    blocks = {block.group: block for block in matrices.random}
    available = tuple(blocks)
    if cluster is not None:
        if cluster not in blocks:
            raise OptionError(
                f"`{cluster}` is not a grouping factor of the model.",
                got=f"grouping factors: {', '.join(available)}",
                suggestion=f'`cluster="{available[-1]}"`',
                available=available,
            )
        return cluster
    for group in sorted(blocks, key=lambda name: blocks[name].n_levels):
        if all(is_nested(block, blocks[group]) for block in blocks.values()):
            return group
    raise OptionError(
        f"{what} needs clusters that are independent, but the grouping factors cross.",
        got=f"grouping factors: {', '.join(available)}; none contains the others",
        suggestion=f'`cluster="{available[-1]}"` to resample the levels of one factor and keep '
        'those of the others, or `kind="parametric"`',
        available=available,
    )


def jackknife_levels(n_levels: int, limit: int) -> IntArray:
    """Levels that stay when one level, or one of at most ``limit`` groups of levels, is left out.

    All groups have the same size; the few levels beyond the last whole group always stay.
    """
    size = -(-n_levels // limit)
    everything = np.arange(n_levels)
    return np.stack(
        [np.delete(everything, slice(g * size, (g + 1) * size)) for g in range(n_levels // size)]
    )
