r"""Exact (restricted) likelihood-ratio test of one variance component, by simulation.

For :math:`y = X\beta + Zb + e`, :math:`b \sim N(0, \lambda\sigma^2 I)`, the statistic under
:math:`\lambda = 0` has the distribution of

.. math:: \sup_\lambda\ (n-p)\log\frac{\sum_s w_s^2 + c}{\sum_s w_s^2/(1+\lambda\mu_s) + c}
          - \sum_s \log(1 + \lambda\mu_s)

with :math:`w_s \sim N(0, 1)`, :math:`c \sim \chi^2_{n-p-K}` and :math:`\mu_s` the K positive
eigenvalues of Z'P_0Z, P_0 the projection beside X. For full maximum likelihood n replaces n - p,
and the eigenvalues of Z'Z replace those in the second sum. A draw costs K numbers, no fit. With
further variance components the same distribution is a good approximation for REML (Greven and
others).

References
----------
Crainiceanu and Ruppert (2004), J. R. Stat. Soc. B 66, 165-185.
Greven, Crainiceanu, Kuechenhoff and Peters (2008), J. Comput. Graph. Stat. 17, 870-891.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lmmformula._arrays import FloatArray
from lmmformula.engine import assemble
from lmmformula.errors import OptionError
from lmmformula.inference.bootstrap.run import check_count, seed_sequence
from lmmformula.matrices import ModelMatrices, RandomBlock
from lmmformula.optimize import minimize
from lmmformula.postfit.executors import chosen_executor, in_order
from lmmformula.postfit.progress import Progress, progress_bar
from lmmformula.postfit.requirements import require_plain_residuals

__all__ = ["RestrictedLRT", "exact_rlrt", "null_distribution"]

CALL = "lf.exact_rlrt(results, seed=1)"
GRID = 240
DRAWS_AT_ONCE = 10_000
SAME = 1e-9
MAX_LEVELS = 4000


@dataclass(frozen=True, slots=True, eq=False)
class RestrictedLRT:
    """A test of one variance component against zero.

    Attributes
    ----------
    statistic : float
        Difference of the criteria without and with the component.
    pvalue : float
        (1 + draws at least as large) / (1 + n).
    component : str
        Name of the component, such as ``sd_Days|Subject``.
    criterion : str
        "REML" (restricted likelihood ratio) or "ML".
    draws : ndarray, shape (n,)
        Simulated statistics under the null hypothesis.
    """

    statistic: float
    pvalue: float
    component: str
    criterion: str
    draws: FloatArray

    def __repr__(self) -> str:
        return (
            f"RestrictedLRT({self.component}, statistic={self.statistic:.4f}, "
            f"pvalue={self.pvalue:.4g}, {len(self.draws)} draws by {self.criterion})"
        )


def exact_rlrt(
    results: Any,
    component: str | None = None,
    *,
    n: int = 10_000,
    seed: Any,
    progress: Progress = None,
    executor: Any = None,
) -> RestrictedLRT:
    """Test whether one variance component is zero, by its finite-sample distribution.

    Parameters
    ----------
    results : LinearMixedResults
        The model with the component; a REML fit, or a maximum likelihood fit of a model with no
        other component.
    component : str, optional
        Which one: a name such as ``"sd_Days|Subject"``, or the term as written if it has one
        effect. Not needed where the model has one only. Its effect must not be correlated with
        others.
    n : int, default 10000
        Number of draws.
    seed : int, SeedSequence or Generator
        Source of randomness.
    progress, executor
        As for ``results.bootstrap``.

    Returns
    -------
    RestrictedLRT
        ``statistic, pvalue, component, criterion, draws``.

    Raises
    ------
    OptionError
        An unknown or correlated component, or a maximum likelihood fit with several.

    Examples
    --------
    >>> import lmmformula as lf
    >>> fit = lf.lmer("Yield ~ 1 + (1 | Batch)", lf.load_dataset("dyestuff"))
    >>> test = lf.exact_rlrt(fit, seed=1)
    >>> round(test.statistic, 3), test.pvalue < 0.01
    (6.369, True)
    """
    n, root = check_count(n, CALL), seed_sequence(seed, CALL)
    matrices, is_reml = _rows_of(results), results.criterion == "REML"
    position, effect = _find(matrices, component)
    without = _without(matrices, position, effect)
    if without is not None and not is_reml:
        raise OptionError(
            "the exact distribution for maximum likelihood is known for one component only.",
            got=f"{len(matrices.random)} random-effects terms in a maximum likelihood fit",
            suggestion="fit by REML, or `lf.bootstrap_lrt(small, large, 1000, seed=1)`",
        )
    if without is None:
        null = float(results.model.at(np.zeros(results.any_system.n_theta), is_reml).objective)
    else:
        null = minimize(assemble([without]), is_reml)[0].objective
    statistic = max(null - results.objective, 0.0)
    how: dict[str, Any] = {"progress": progress, "executor": executor}
    draws = null_distribution(matrices, position, effect, n=n, seed=root, reml=is_reml, **how)
    block = matrices.random[position]
    return RestrictedLRT(
        statistic=statistic,
        pvalue=float((1 + np.sum(draws >= statistic)) / (1 + n)),
        component=f"sd_{block.effect_names[effect]}|{block.group}",
        criterion=results.criterion,
        draws=draws,
    )


def _rows_of(results: Any) -> ModelMatrices:
    """Rows of a fit for which the distribution is known."""
    if not hasattr(results, "refit_ml"):
        raise OptionError(
            "`exact_rlrt` tests a component of a fitted linear mixed model.",
            got=f"an object of type `{type(results).__name__}`",
            suggestion=f"`{CALL}`",
        )
    results.model.require_rows("`exact_rlrt`")
    matrices: ModelMatrices = results.design.matrices
    require_plain_residuals(
        matrices.residual,
        "the exact distribution of `exact_rlrt`",
        "`lf.bootstrap_lrt(small, large, 1000, seed=1)`",
    )
    return matrices


def _find(matrices: ModelMatrices, component: str | None) -> tuple[int, int]:
    """Position of the term and of the effect in it."""
    names: dict[str, tuple[int, int]] = {}
    texts: dict[str, tuple[int, int]] = {}
    for t, block in enumerate(matrices.random):
        if block.n_effects > 1 and block.structure != "diag":
            continue
        for i, name in enumerate(block.effect_names):
            names[f"sd_{name}|{block.group}"] = (t, i)
        if block.n_effects == 1:
            texts[block.text] = (t, 0)
    n_effects = sum(block.n_effects for block in matrices.random)
    if component is None and n_effects == 1:
        return 0, 0
    available = tuple(names)
    found = None if component is None else names.get(component, texts.get(component))
    if found is not None:
        return found
    terms = ", ".join(block.text for block in matrices.random)
    raise OptionError(
        "`component` must name one variance whose effect is not correlated with others.",
        got=f"`component={component!r}`; random effects {terms}; can be tested: "
        + (", ".join(available) or "none"),
        suggestion=f'`component="{available[0]}"`'
        if available
        else "`lf.bootstrap_lrt(small, large, 1000, seed=1)`",
        argument="component",
        available=available,
    )


def _without(matrices: ModelMatrices, position: int, effect: int) -> ModelMatrices | None:
    """Return the design without one effect; None where no random effect is left."""
    block = matrices.random[position]
    random = list(matrices.random)
    if block.n_effects == 1:
        del random[position]
    else:
        names = list(block.effect_names)
        del names[effect]
        z = np.delete(block.z, effect, axis=1)
        random[position] = replace(block, z=z, effect_names=tuple(names))
    return replace(matrices, random=tuple(random)) if random else None


def null_distribution(
    matrices: ModelMatrices,
    position: int,
    effect: int,
    *,
    n: int,
    seed: np.random.SeedSequence,
    reml: bool = True,
    progress: Progress = None,
    executor: Any = None,
) -> FloatArray:
    """Draws of the statistic when the variance is zero.

    Parameters
    ----------
    matrices : ModelMatrices
    position, effect : int
        The term and its effect.
    n : int
        Number of draws; the first ones do not depend on it.
    seed : SeedSequence
    reml : bool, default True
    progress : bool, callable or None
    executor
        See ``postfit.executors``.

    Returns
    -------
    ndarray, shape (n,)
    """
    mu, xi = _eigenvalues(matrices, matrices.random[position], effect)
    n_outside = matrices.n_obs - matrices.p - len(mu)
    nu = matrices.n_obs - (matrices.p if reml else 0)
    logged = mu if reml else xi
    if not len(mu):
        return np.zeros(n)
    levels, multiplicity = _grouped(mu)
    grid = np.exp(np.linspace(np.log(1e-5 / mu.max()), np.log(1e6 / mu.min()), GRID))
    shrink = 1.0 / (1.0 + grid * levels[:, None])
    penalty = np.log1p(grid * logged[:, None]).sum(axis=0)
    curves = _Curves(levels, multiplicity, shrink, penalty, nu, n_outside)
    sizes = [min(DRAWS_AT_ONCE, n - start) for start in range(0, n, DRAWS_AT_ONCE)]
    tasks = list(zip(sizes, seed.spawn(len(sizes)), strict=True))
    with progress_bar(progress, len(tasks), "exact_rlrt", "parts") as advance:
        draws = in_order(curves.peaks, tasks, chosen_executor(executor), lambda _: advance(1))
    return np.concatenate(draws)


@dataclass(frozen=True, slots=True, eq=False)
class _Curves:
    """The criterion of simulated data over a grid of the variance, less that at zero."""

    levels: FloatArray
    multiplicity: FloatArray
    shrink: FloatArray
    penalty: FloatArray
    nu: int
    n_outside: int

    def peaks(self, size: int, seed: np.random.SeedSequence) -> FloatArray:
        """Draws of the largest value."""
        inner, outer = (np.random.default_rng(s) for s in seed.spawn(2))
        squares = inner.chisquare(self.multiplicity, (size, len(self.levels)))
        rest = outer.chisquare(self.n_outside, size) if self.n_outside > 0 else np.zeros(size)
        total = squares.sum(axis=1) + rest
        ratio = total[:, None] / (squares @ self.shrink + rest[:, None])
        return np.maximum(_peak(self.nu * np.log(ratio) - self.penalty), 0.0)


def _eigenvalues(
    matrices: ModelMatrices, block: RandomBlock, effect: int
) -> tuple[FloatArray, FloatArray]:
    """Positive eigenvalues of Z'P_0Z, and those of Z'Z (weights and relationship included)."""
    if block.n_levels > MAX_LEVELS:
        raise OptionError(
            "the exact distribution needs eigenvalues of a matrix with one row per level.",
            got=f"{block.n_levels} levels of `{block.group}`, at most {MAX_LEVELS} are taken",
            suggestion="`lf.anova(small, large)`: with so many levels its distribution holds",
        )
    root = np.ones(matrices.n_obs) if matrices.weights is None else np.sqrt(matrices.weights)
    z = root * block.z[:, effect]
    diagonal: FloatArray = np.bincount(block.codes, z * z, block.n_levels).astype(np.float64)
    Q, _ = np.linalg.qr(root[:, None] * matrices.X)
    columns = [np.bincount(block.codes, z * column, block.n_levels) for column in Q.T]
    projected = np.diag(diagonal)
    if columns:
        ZQ = np.stack(columns, axis=1)
        projected -= ZQ @ ZQ.T
    if block.relationship is not None:
        L = block.relationship
        projected = L.T @ projected @ L
        diagonal = np.asarray(np.linalg.eigvalsh(L.T @ (diagonal[:, None] * L)), dtype=np.float64)
    mu = np.linalg.eigvalsh(projected)
    mu = mu[mu > SAME * diagonal.max()]
    return mu[-max(matrices.n_obs - matrices.p, 0) :], diagonal[diagonal > SAME * diagonal.max()]


def _grouped(mu: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Distinct eigenvalues and how often each occurs (sorted ones that differ by rounding)."""
    starts = np.concatenate([[True], np.diff(mu) > SAME * mu[-1]])
    first = np.flatnonzero(starts)
    return mu[first], np.diff(np.append(first, len(mu))).astype(np.float64)


def _peak(curve: FloatArray) -> FloatArray:
    """Maximum of every row, by a parabola through the three highest points of the grid."""
    rows = np.arange(len(curve))
    top = np.clip(np.argmax(curve, axis=1), 1, curve.shape[1] - 2)
    left, middle, right = curve[rows, top - 1], curve[rows, top], curve[rows, top + 1]
    bend = left - 2.0 * middle + right
    slope = 0.5 * (right - left)
    with np.errstate(divide="ignore", invalid="ignore"):
        gain = np.where(bend < 0.0, -0.5 * slope**2 / bend, 0.0)
    highest = np.maximum(np.maximum(left, middle), right)
    inside = np.abs(slope) <= np.abs(bend)
    return np.asarray(np.where(inside, middle + gain, highest))
