"""Which null distribution a likelihood-ratio statistic has when variances are tested."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lmmformula._arrays import FloatArray
from lmmformula.covariance import make_structure, semidefinite_cholesky
from lmmformula.engine import BlockedSystem, kenward_roger_pieces
from lmmformula.errors import InferenceWarning, OptionError
from lmmformula.inference.comparison.exact_null import ExactNull, exact_null
from lmmformula.inference.comparison.mixtures import LARGEST, Mixture, chi_bar_square
from lmmformula.inference.comparison.random_change import RandomChange
from lmmformula.inference.comparison.residual_nesting import with_exchangeable_residuals
from lmmformula.inference.comparison.structure_change import change_of
from lmmformula.inference.comparison.structure_match import has_structures
from lmmformula.matrices import ModelMatrices, RandomBlock
from lmmformula.postfit.singular import effect_scales, find_singularities

__all__ = ["Boundary", "Fitted", "check_boundary", "no_mixture_warning", "null_for"]

BOUNDARY = (None, "chibar", "exact")


@dataclass(frozen=True, slots=True, eq=False)
class Boundary:
    """How variances are tested.

    Attributes
    ----------
    kind : {"chibar", "exact"}
        Asymptotic mixture, or simulation of the exact distribution of one variance.
    reml : bool
        Criterion of the fits.
    seed : int, SeedSequence or Generator
        Source of randomness for "exact".
    """

    kind: str
    reml: bool
    seed: Any = None


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """What the comparison needs of a fit.

    Attributes
    ----------
    matrices : ModelMatrices
        The design; rows are needed for "exact" only.
    templates : sequence of ndarray
        Relative covariance factors at the estimates.
    system : BlockedSystem or None
        Cross-products; None for a linear model.
    """

    matrices: ModelMatrices
    templates: Sequence[FloatArray]
    system: BlockedSystem | None

    @property
    def p(self) -> int:
        """Number of fixed effects."""
        return self.matrices.p

    @property
    def n_theta(self) -> int:
        """Number of covariance parameters beside sigma."""
        return 0 if self.system is None else self.system.n_theta

    @property
    def blocks(self) -> tuple[RandomBlock, ...]:
        """Random-effects terms."""
        return self.matrices.random

    @classmethod
    def of(cls, results: Any) -> Fitted:
        """Take it from results."""
        return cls(results.design.matrices, results.estimates.templates, results.any_system)


def check_boundary(value: Any) -> None:
    """Raise for an unknown option."""
    if value is not None and value not in BOUNDARY:
        raise OptionError(
            f"`boundary={value!r}` is not a way to test variances.",
            got='available: None, "chibar", "exact"',
            suggestion='`boundary="chibar"`',
            argument="boundary",
            value=value,
            available=BOUNDARY,
        )


def null_for(
    small: Fitted, large: Fitted, how: Boundary, *, is_nested: bool
) -> Mixture | ExactNull | str:
    """Return the null distribution of a comparison, or the reason why none is known.

    Parameters
    ----------
    small, large : Fitted
        The models.
    how : Boundary
        What is wanted.
    is_nested : bool
        It is known that ``large`` contains ``small``.
    """
    if not is_nested:
        return "without the rows of the data it cannot be known that the models are nested"
    change = change_of(with_exchangeable_residuals(small.matrices, large.matrices), large.matrices)
    n_free = large.n_theta - small.n_theta - change.n_variances + large.p - small.p
    if change.reason:
        return change.reason
    if n_free + change.n_variances == 0:
        return "the models have the same parameters"
    at_edge = _at_edge(small)
    if at_edge and n_free + change.n_variances > large.p - small.p:
        return f"the smaller model is itself on the boundary (`{at_edge}`)"
    if change.n_variances == 0:
        return Mixture((n_free,), (1.0,))
    if how.kind == "exact":
        if large.matrices.residual is not None:
            return "the exact distribution is known for independent residuals only"
        if has_structures(large.blocks):
            return "the exact distribution is not known beside structured covariances"
        same_fixed = large.p == small.p
        return exact_null(
            change, large.matrices, same_fixed=same_fixed, reml=how.reml, seed=how.seed
        )
    return _mixture(small, large, change, n_free)


def _mixture(small: Fitted, large: Fitted, change: RandomChange, n_free: int) -> Mixture | str:
    m = change.n_variances
    if m == 1:
        return chi_bar_square(n_free, np.ones((1, 1)))
    if large.matrices.residual is not None:
        return f"{m} variances are tested at once beside structured residuals"
    if m > LARGEST:
        return f"{m} variances are tested at once"
    if len(change.variances) < m:
        return "several variances are tested, and the effects have other names in the two models"
    if not isinstance(large.system, BlockedSystem):
        return f"{m} variances are tested at once, and another engine fitted the larger model"
    if large.system.tail.kind == "sparse":
        return f"{m} variances are tested at once, and the larger model's factors are kept sparse"
    return chi_bar_square(n_free, _variance_vcov(small, large, change))


def no_mixture_warning(reason: str, small: str, large: str) -> InferenceWarning:
    """Say that a comparison has no p-value."""
    return InferenceWarning(
        f"no corrected p-value is known for `{large}` against `{small}`: {reason}.",
        got="a missing `pvalue` in its row",
        suggestion="`lf.bootstrap_lrt(small, large, 1000, seed=1)`",
        models=(small, large),
        reason=reason,
    )


def _at_edge(fit: Fitted) -> str:
    """Name of a parameter on the boundary, empty if there is none."""
    if fit.system is None:
        return ""
    found = find_singularities(fit.blocks, fit.templates, effect_scales(fit.system))
    return found[0].parameter if found else ""


def _variance_vcov(small: Fitted, large: Fitted, change: RandomChange) -> FloatArray:
    """Covariance of the larger model's estimates of the new variances, at the smaller model."""
    system = large.system
    assert system is not None
    theta = np.concatenate(
        [
            make_structure(block.structure, block.n_effects, block.positions).theta(
                semidefinite_cholesky(_null_covariance(small, block, i, change))
            )
            for i, block in enumerate(large.blocks)
        ]
    )
    pieces = kenward_roger_pieces(system, theta)
    working = 2.0 * np.linalg.pinv(pieces.expected, hermitian=True)
    rows = np.array([_in_working_entries(system, *address) for address in change.variances])
    rows = np.column_stack([rows, np.zeros(len(rows))])
    return np.asarray(rows @ working @ rows.T)


def _null_covariance(small: Fitted, block: RandomBlock, i: int, change: RandomChange) -> FloatArray:
    """Relative covariance of a term of the larger model when the smaller one holds."""
    k = block.n_effects
    covariance = np.zeros((k, k))
    for a in range(k):
        for b in range(k):
            first, second = change.matched.get((i, a)), change.matched.get((i, b))
            if first and second and first[0] == second[0]:
                template = small.templates[first[0]]
                covariance[a, b] = template[first[1]] @ template[second[1]]
    return covariance


def _in_working_entries(system: BlockedSystem, term: int, effect: int) -> FloatArray:
    """Coefficients of an effect's variance in the free covariance entries of the working basis."""
    parts = []
    for layout in system.terms:
        structure = layout.structure
        rows, columns = structure.pairs
        weights = np.zeros(len(rows))
        if layout.index == term:
            back = system.basis.random[term][effect]
            weights = structure.multiplicity * back[rows] * back[columns]
        parts.append(weights[structure.free_entries])
    return np.concatenate(parts)
