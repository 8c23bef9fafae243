r"""The variance of the response, part by part, averaged over the rows.

The fixed effects' part is the variance of :math:`X\hat\beta` over rows, a term's part the mean of
:math:`z'\Sigma z` (its variance, for a random intercept), the residual's part :math:`\sigma^2` or,
with variance functions, its mean over the rows.

References
----------
Nakagawa and Schielzeth (2013), Methods Ecol. Evol. 4, 133-142.
Johnson (2014), Methods Ecol. Evol. 5, 944-946 (random slopes).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from lmmformula._arrays import FloatArray
from lmmformula.engine import AnySystem
from lmmformula.engine.krylov import KrylovSystem
from lmmformula.postfit.requirements import EXACT, exact_system, kind_of_rows, require_exact_engine

__all__ = ["VarianceParts", "variance_parts"]

VARYING = {"ratio", "power"}
MEAN_VARIANCE = "The residual variance differs between rows; its mean over the rows is taken."


@dataclass(frozen=True, slots=True)
class VarianceParts:
    """Parts of the response's variance.

    Attributes
    ----------
    fixed : float
        Variance of the fixed effects' part over the rows used, offset left out.
    random : dict of str to float
        Mean variance of every random-effects term, by its label in ``varcorr``.
    residual : float
        Residual variance of a row with weight one; with variance functions the mean over the rows.
    notes : tuple of str
        What a reader must know.
    """

    fixed: float
    random: dict[str, float]
    residual: float
    notes: tuple[str, ...] = ()

    @property
    def random_total(self) -> float:
        """Sum over the terms."""
        return float(sum(self.random.values()))


def variance_parts(results: Any) -> VarianceParts:
    """Split the variance of the response of a fit.

    Notes
    -----
    From cross-products where all rows weigh the same, so that results without rows do; prior
    weights and structured residuals are in the cross-products, and then the rows are needed:
    every row counts once.
    """
    system = results.any_system
    if not isinstance(system, KrylovSystem):
        require_exact_engine(system, "splitting the variance of the response", EXACT)
    e, matrices = results.estimates, results.design.matrices
    if matrices.weights is not None or matrices.residual is not None:
        results.model.require_rows(f"splitting the variance of {kind_of_rows(matrices)}")
        squares = [float(np.mean(np.sum((b.z @ t) ** 2, axis=1))) for b, t in _terms(results)]
        fixed = _variance(matrices.X @ e.beta)
    else:
        squares = [
            float(np.sum((factor.T @ gram) * factor.T)) / system.n_obs
            for factor, gram in zip(_working_factors(results), _gram_sums(system), strict=True)
        ]
        fixed = _fixed_variance(results)
    variance = e.sigma**2
    labels = [term.label for term in results.varcorr]
    random = {label: variance * size for label, size in zip(labels, squares, strict=True)}
    structure = results.residual_structure
    if structure is None or len(set(structure.kinds) & VARYING) == 0:
        return VarianceParts(fixed, random, variance)
    return VarianceParts(fixed, random, structure.mean_variance, (MEAN_VARIANCE,))


def _terms(results: Any) -> Any:
    return zip(results.design.matrices.random, results.estimates.templates, strict=True)


def _variance(values: FloatArray) -> float:
    return float(np.var(values, ddof=1)) if len(values) > 1 else 0.0


def _fixed_variance(results: Any) -> float:
    """Variance of X beta; by cross-products where the first column is the intercept."""
    system, e = results.any_system, results.estimates
    if not e.p:
        return 0.0
    if results.fixed_names[0] != "Intercept":
        results.model.require_rows("the variance of the fixed effects of a model without intercept")
        return _variance(results.design.matrices.X @ e.beta)
    basis = system.basis.fixed
    slopes = np.linalg.solve(basis, e.beta)[1:]
    gram, n = system.xy[: e.p, : e.p], system.n_obs
    total = float(slopes @ gram[0, 1:]) / float(basis[0, 0])
    squares = float(slopes @ gram[1:, 1:] @ slopes)
    return float(max(squares - total**2 / n, 0.0) / max(n - 1, 1))


def _working_factors(results: Any) -> list[FloatArray]:
    return [
        np.asarray(np.linalg.solve(basis, template))
        for basis, template in zip(
            results.any_system.basis.random, results.estimates.templates, strict=True
        )
    ]


def _gram_sums(system: AnySystem) -> list[FloatArray]:
    """Sum of z z' over all rows for every term, working basis, model order."""
    if isinstance(system, KrylovSystem):
        whole = [gram.sum(axis=2) for gram in system.gram]
    else:
        blocks = exact_system(system)
        whole = [blocks.gram.sum(axis=2)]
        for factor, start in zip(blocks.tail.factors, blocks.tail.starts, strict=True):
            level = start + factor.k * np.arange(factor.n_levels)
            at = [
                [blocks.tail.address(level + a, level + b) for b in range(factor.k)]
                for a in range(factor.k)
            ]
            whole.append(np.array([[blocks.tail_gram[w].sum() for w in row] for row in at]))
    sums = {
        term.index: gram[term.columns, term.columns]
        for factor, gram in zip(system.factors, whole, strict=True)
        for term in factor.terms
    }
    return [sums[index] for index in range(len(sums))]
