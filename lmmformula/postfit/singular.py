"""Which variance is estimated as zero, and which correlation as one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lmmformula._arrays import FloatArray
from lmmformula.engine import BlockedSystem
from lmmformula.errors import SingularFitWarning
from lmmformula.matrices import RandomBlock

__all__ = ["TOLERANCE", "Singularity", "effect_scales", "find_singularities", "singular_warning"]

TOLERANCE = 1e-4
"""lme4's: a diagonal entry of a relative factor below it counts as zero."""


@dataclass(frozen=True, slots=True)
class Singularity:
    """One parameter on the boundary.

    Attributes
    ----------
    parameter : str
        Name of the parameter, ``sd_Days|Subject`` or ``cor_Days.Intercept|Subject``.
    sentence : str
        What it means, in a clause.
    """

    parameter: str
    sentence: str


def effect_scales(system: BlockedSystem) -> tuple[FloatArray, ...]:
    """Root mean square of every (weighted) random-effects column, so that units do not matter.

    The engine works with columns of unit mean square that are orthogonal or merely rescaled; in
    either case the way back holds the root mean squares as the lengths of its columns.
    """
    inverses = (np.asarray(np.linalg.inv(T), dtype=np.float64) for T in system.basis.random)
    return tuple(_lengths(inverse) for inverse in inverses)


def _lengths(columns: FloatArray) -> FloatArray:
    """Euclidean norms of columns that neither overflow nor underflow."""
    largest = np.max(np.abs(columns), axis=0)
    safe = np.where((largest > 0) & np.isfinite(largest), largest, 1.0)
    return np.asarray(safe * np.sqrt(np.sum((columns / safe) ** 2, axis=0)))


def find_singularities(
    blocks: Sequence[RandomBlock],
    templates: Sequence[FloatArray],
    scales: Sequence[FloatArray],
    tolerance: float = TOLERANCE,
) -> tuple[Singularity, ...]:
    """List what is on the boundary, in the order of the terms.

    Parameters
    ----------
    blocks : sequence of RandomBlock
        The terms, for their names.
    templates : sequence of ndarray, shape (k, k)
        Relative lower-triangular factors.
    scales : sequence of ndarray, shape (k,)
        Root mean squares of the columns; a factor is judged in these units.
    tolerance : float
        Below it a scaled diagonal entry counts as zero.

    Returns
    -------
    tuple of Singularity
        Empty for a regular fit.
    """
    found: list[Singularity] = []
    for block, template, scale in zip(blocks, templates, scales, strict=True):
        found += _of_term(block, scale[:, None] * template, tolerance)
    return tuple(found)


def _of_term(block: RandomBlock, factor: FloatArray, tolerance: float) -> list[Singularity]:
    if np.all(np.abs(np.diagonal(factor)) >= tolerance):
        return []
    sizes = np.sqrt(np.sum(factor**2, axis=1))
    zero = [i for i in range(len(sizes)) if sizes[i] < tolerance]
    found = [
        Singularity(
            f"sd_{block.effect_names[i]}|{block.group}",
            f"the variance of `{block.effect_names[i]}` in `{block.text}` is zero",
        )
        for i in zero
    ]
    others = [i for i in range(len(sizes)) if i not in zero]
    explained = set(zero)
    for position, i in enumerate(others):
        for j in others[:position]:
            corr = float(factor[i] @ factor[j] / (sizes[i] * sizes[j]))
            left_over = sizes[i] * np.sqrt(max(1.0 - corr**2, 0.0))
            if left_over < tolerance and i not in explained:
                explained.add(i)
                found.append(_correlation(block, i, j, corr))
    for i in others:
        if i not in explained and abs(factor[i, i]) < tolerance:
            name = block.effect_names[i]
            clause = f"`{name}` in `{block.text}` is a combination of the effects before it"
            found.append(Singularity(f"sd_{name}|{block.group}", clause))
    return found


def _correlation(block: RandomBlock, i: int, j: int, corr: float) -> Singularity:
    later, earlier = block.effect_names[i], block.effect_names[j]
    return Singularity(
        f"cor_{later}.{earlier}|{block.group}",
        f"the correlation of `{earlier}` and `{later}` in `{block.text}` is {round(corr):+d}",
    )


def singular_warning(found: Sequence[Singularity]) -> SingularFitWarning:
    """Put the findings into the house's form."""
    sentences = "; ".join(item.sentence for item in found)
    names = tuple(item.parameter for item in found)
    return SingularFitWarning(
        f"the fit is singular: {sentences}.",
        got=", ".join(f"`{name}`" for name in names) + " at the boundary of its range",
        suggestion="a simpler random part; the estimates are valid as they stand, but tests that "
        "assume a regular fit are not",
        parameters=names,
    )
