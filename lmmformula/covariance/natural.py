"""What users read of a covariance structure: standard deviations and correlations, with names.

Every range has a scale on which it is the whole line; intervals are symmetric there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

import numpy as np

from lmmformula._arrays import FloatArray

__all__ = [
    "CORRELATION",
    "POSITIVE",
    "Limits",
    "NaturalParameter",
    "bounded",
    "parameter_names",
    "rate",
    "term_labels",
    "triangle",
    "triangle_values",
    "unbounded",
]

Limits: TypeAlias = tuple[float, float]
NaturalKind: TypeAlias = Literal["sd", "correlation", "positive"]

POSITIVE: Limits = (0.0, float("inf"))
CORRELATION: Limits = (-1.0, 1.0)


@dataclass(frozen=True, slots=True)
class NaturalParameter:
    """One parameter of a structure as users know it.

    Attributes
    ----------
    name : str
        ``sd_Days``, ``cor_Days.Intercept``; ``sd``, ``rho``, ``rho_1``, ``range`` of structures
        with equal variances and with correlation functions.
    kind : {"sd", "correlation", "positive"}
        "positive" is any other parameter above zero, a range.
    limits : (float, float)
        Ends of its range.
    effects : tuple of int
        The effect of a standard deviation, or two whose correlation it is; empty for a parameter
        of all effects.
    """

    name: str
    kind: NaturalKind
    limits: Limits
    effects: tuple[int, ...] = ()


class _Named(Protocol):
    def natural_parameters(self, effects: tuple[str, ...]) -> tuple[NaturalParameter, ...]: ...


def triangle(effects: tuple[str, ...], *, correlated: bool) -> tuple[NaturalParameter, ...]:
    """A standard deviation for every effect and a correlation for every pair, by columns."""
    found = []
    for j, name in enumerate(effects):
        found.append(NaturalParameter(f"sd_{name}", "sd", POSITIVE, (j,)))
        found += [
            NaturalParameter(f"cor_{effects[i]}.{name}", "correlation", CORRELATION, (i, j))
            for i in range(j + 1, len(effects) if correlated else 0)
        ]
    return tuple(found)


def triangle_values(factor: FloatArray, *, correlated: bool) -> FloatArray:
    """Values of ``triangle`` for a covariance ``factor @ factor.T``; NaN beside a zero."""
    largest = np.max(np.abs(factor), axis=1, keepdims=True)
    rows = np.divide(factor, largest, out=np.zeros_like(factor), where=largest > 0.0)
    length = np.linalg.norm(rows, axis=1)
    sd = largest[:, 0] * length
    if not correlated:
        return np.asarray(sd)
    with np.errstate(invalid="ignore", divide="ignore"):
        rows = rows / length[:, None]
    values = np.clip(rows @ rows.T, -1.0, 1.0)
    np.fill_diagonal(values, sd)
    columns, below = np.triu_indices(len(factor))
    return np.asarray(values[below, columns])


def term_labels(groups: Sequence[str]) -> list[str]:
    """Unique labels of terms: ``Subject``, and ``Subject.1`` for a second one on a factor."""
    seen: dict[str, int] = {}
    labels = []
    for group in groups:
        count = seen.get(group, 0)
        seen[group] = count + 1
        labels.append(f"{group}.{count}" if count else group)
    return labels


def parameter_names(
    structures: Sequence[_Named], effects: Sequence[tuple[str, ...]], groups: Sequence[str]
) -> list[tuple[str, ...]]:
    """Names of all terms' natural parameters: ``sd_Days|Subject``, ``rho|Subject``.

    Where a name would occur twice, its term is called by its label, ``rho|Subject.1``.

    Parameters
    ----------
    structures : sequence of Structure
    effects : sequence of tuple of str
        Names of every term's effects.
    groups : sequence of str
        Grouping factor of every term.
    """
    taken: set[str] = set()
    result = []
    labels = term_labels(groups)
    for structure, own, group, label in zip(structures, effects, groups, labels, strict=True):
        parameters = structure.natural_parameters(own)
        names = tuple(f"{parameter.name}|{group}" for parameter in parameters)
        if not taken.isdisjoint(names):
            names = tuple(f"{parameter.name}|{label}" for parameter in parameters)
        taken |= set(names)
        result.append(names)
    return result


def unbounded(value: float, limits: Limits) -> float:
    """Value on the scale where its range is the whole line: a log, a logit, or itself."""
    low, high = limits
    if np.isinf(low):
        return value
    with np.errstate(divide="ignore", invalid="ignore"):
        if np.isinf(high):
            return float(np.log(value - low))
        return float(np.log(np.divide(value - low, high - value)))


def bounded(x: float, limits: Limits) -> float:
    """Inverse of ``unbounded``."""
    low, high = limits
    if np.isinf(low):
        return x
    with np.errstate(over="ignore"):
        if np.isinf(high):
            return float(low + np.exp(x))
        return float(low + (high - low) / (1.0 + np.exp(-x)))


def rate(value: float, limits: Limits) -> float:
    """How fast a value moves with its place on that scale."""
    low, high = limits
    if np.isinf(low):
        return 1.0
    if np.isinf(high):
        return value - low
    return (value - low) * (high - value) / (high - low)
