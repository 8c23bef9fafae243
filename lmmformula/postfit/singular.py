"""Which variance is estimated as zero, and which correlation as one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lmmformula._arrays import FloatArray
from lmmformula.covariance import NaturalParameter, Structure, make_structure, parameter_names
from lmmformula.engine import AnySystem
from lmmformula.errors import SingularFitWarning
from lmmformula.matrices import RandomBlock

__all__ = ["TOLERANCE", "Singularity", "effect_scales", "find_singularities", "singular_warning"]

TOLERANCE = 1e-4
"""lme4's: a diagonal entry of a relative factor below it counts as zero."""
AT_LIMIT = 1e-3
"""A correlation parameter of a singular matrix this near to the end of its range is there."""


@dataclass(frozen=True, slots=True)
class Singularity:
    """One parameter on the boundary.

    Attributes
    ----------
    parameter : str
        Name of the parameter, ``sd_Days|Subject``, ``cor_Days.Intercept|Subject`` or
        ``rho|Subject``.
    sentence : str
        What it means, in a clause.
    """

    parameter: str
    sentence: str


def effect_scales(system: AnySystem) -> tuple[FloatArray, ...]:
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
    for t, (template, scale) in enumerate(zip(templates, scales, strict=True)):
        factor = scale[:, None] * template
        if np.any(np.abs(np.diagonal(factor)) < tolerance):
            found += _of_term(_Term.of(blocks, t), template, factor, tolerance)
    return tuple(found)


@dataclass(frozen=True, slots=True, eq=False)
class _Term:
    """A term with the names of its parameters, by the effects that they describe."""

    block: RandomBlock
    structure: Structure
    names: tuple[str, ...]

    @classmethod
    def of(cls, blocks: Sequence[RandomBlock], position: int) -> _Term:
        """One of several; names tell it from the others."""
        made = [make_structure(b.structure, b.n_effects, b.positions) for b in blocks]
        effects, groups = [b.effect_names for b in blocks], [b.group for b in blocks]
        names = parameter_names(made, effects, groups)
        return cls(blocks[position], made[position], names[position])

    @property
    def parameters(self) -> tuple[NaturalParameter, ...]:
        """What the names stand for."""
        return self.structure.natural_parameters(self.block.effect_names)

    def name(self, *effects: int) -> str:
        """Name of a standard deviation or correlation."""
        pairs = zip(self.parameters, self.names, strict=True)
        return next(name for parameter, name in pairs if parameter.effects == effects)


def _of_term(
    term: _Term, template: FloatArray, factor: FloatArray, tolerance: float
) -> list[Singularity]:
    block = term.block
    sizes = _lengths(factor.T)
    if not term.parameters[0].effects:
        shared = f"the variance of `{block.text}` is zero"
        zero = [Singularity(term.names[0], shared)] if sizes.max() < tolerance else []
    else:
        zero = [
            Singularity(
                term.name(i), f"the variance of `{block.effect_names[i]}` in `{block.text}` is zero"
            )
            for i in np.flatnonzero(sizes < tolerance).tolist()
        ]
    if block.structure == "us":
        return zero + _of_pairs(term, factor, sizes, tolerance)
    return zero or _of_correlation(term, term.structure.natural(template))


def _of_pairs(
    term: _Term, factor: FloatArray, sizes: FloatArray, tolerance: float
) -> list[Singularity]:
    """Correlations of -1 and 1, and combinations of more than two effects."""
    block, found = term.block, []
    zero = [i for i in range(len(sizes)) if sizes[i] < tolerance]
    others = [i for i in range(len(sizes)) if i not in zero]
    explained = set(zero)
    for position, i in enumerate(others):
        for j in others[:position]:
            corr = float(factor[i] @ factor[j] / (sizes[i] * sizes[j]))
            left_over = sizes[i] * np.sqrt(max(1.0 - corr**2, 0.0))
            if left_over < tolerance and i not in explained:
                explained.add(i)
                later, earlier = block.effect_names[i], block.effect_names[j]
                clause = (
                    f"the correlation of `{earlier}` and `{later}` in `{block.text}` is "
                    f"{round(corr):+d}"
                )
                found.append(Singularity(term.name(i, j), clause))
    for i in others:
        if i not in explained and abs(factor[i, i]) < tolerance:
            name = block.effect_names[i]
            clause = f"`{name}` in `{block.text}` is a combination of the effects before it"
            found.append(Singularity(term.name(i), clause))
    return found


def _of_correlation(term: _Term, values: FloatArray) -> list[Singularity]:
    """Parameters of a correlation function at the ends of their range, or its whole matrix."""
    found, first = [], ""
    for parameter, name, value in zip(term.parameters, term.names, values.tolist(), strict=True):
        low, high = parameter.limits
        if parameter.kind == "sd":
            continue
        first = first or name
        if np.isinf(high):
            continue
        end = low if value - low < high - value else high
        if abs(value - end) < AT_LIMIT * (high - low):
            clause = f"`{parameter.name}` of `{term.block.text}` is {end:.4g}"
            found.append(Singularity(name, clause))
    if found or not first:
        return found
    return [Singularity(first, f"the correlation matrix of `{term.block.text}` is singular")]


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
