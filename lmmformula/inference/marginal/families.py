"""Sets of contrasts among a number of means: one function per set, all in ``FAMILIES``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import gcd, lcm
from typing import Any

import numpy as np

from lmmformula._arrays import FloatArray
from lmmformula.design.sources import closest_name, listed
from lmmformula.errors import DimensionError, OptionError

__all__ = ["FAMILIES", "ContrastFamily", "ContrastSet", "contrast_set", "family_named"]

DEGREES = ("linear", "quadratic", "cubic", "quartic")
MOST_DEGREES = 6


@dataclass(frozen=True, slots=True, eq=False)
class ContrastSet:
    """Named contrasts.

    Attributes
    ----------
    names : tuple of str
        One per contrast.
    weights : ndarray, shape (n_contrasts, n_means)
        Their coefficients.
    """

    names: tuple[str, ...]
    weights: FloatArray


@dataclass(frozen=True, slots=True)
class ContrastFamily:
    """A set of contrasts by name.

    Attributes
    ----------
    make : callable
        (labels, position of the control) -> ContrastSet.
    adjust : str
        Adjustment used when none is asked for.
    is_pairwise : bool
        Whether Tukey's method applies.
    """

    make: Callable[[Sequence[str], int], ContrastSet]
    adjust: str
    is_pairwise: bool = False


def _differences(labels: Sequence[str], pairs: Sequence[tuple[int, int]]) -> ContrastSet:
    weights = np.zeros((len(pairs), len(labels)))
    for row, (plus, minus) in enumerate(pairs):
        weights[row, plus], weights[row, minus] = 1.0, -1.0
    names = tuple(f"{labels[plus]} - {labels[minus]}" for plus, minus in pairs)
    return ContrastSet(names, weights)


def _pairwise(labels: Sequence[str], control: int) -> ContrastSet:
    k = len(labels)
    return _differences(labels, [(i, j) for i in range(k) for j in range(i + 1, k)])


def _reversed(labels: Sequence[str], control: int) -> ContrastSet:
    return _differences(labels, [(i, j) for i in range(len(labels)) for j in range(i)])


def _against_control(labels: Sequence[str], control: int) -> ContrastSet:
    return _differences(labels, [(i, control) for i in range(len(labels)) if i != control])


def _sequential(labels: Sequence[str], control: int) -> ContrastSet:
    return _differences(labels, [(i, i - 1) for i in range(1, len(labels))])


def _from_the_mean(labels: Sequence[str], control: int) -> ContrastSet:
    k = len(labels)
    return ContrastSet(tuple(f"{label} effect" for label in labels), np.eye(k) - 1.0 / k)


def _polynomial(labels: Sequence[str], control: int) -> ContrastSet:
    """Orthogonal polynomials in 1, ..., k with the smallest integer coefficients."""
    k = len(labels)
    points = [Fraction(2 * i - k + 1, 2) for i in range(k)]
    found: list[list[Fraction]] = [[Fraction(1)] * k]
    for _ in range(min(k - 1, MOST_DEGREES)):
        column = [x * last for x, last in zip(points, found[-1], strict=True)]
        for earlier in found:
            square = sum((e * e for e in earlier), Fraction(0))
            products = (c * e for c, e in zip(column, earlier, strict=True))
            share = sum(products, Fraction(0)) / square
            column = [c - share * e for c, e in zip(column, earlier, strict=True)]
        found.append(column)
    rows = [_primitive(column) for column in found[1:]]
    names = [DEGREES[d] if d < len(DEGREES) else f"degree {d + 1}" for d in range(len(rows))]
    return ContrastSet(tuple(names), np.array(rows, dtype=np.float64).reshape(-1, k))


def _primitive(column: Sequence[Fraction]) -> list[int]:
    """Scale to integers without a common divisor."""
    common = lcm(*(value.denominator for value in column))
    whole = [int(value * common) for value in column]
    divisor = gcd(*whole)
    return [value // divisor for value in whole]


FAMILIES: dict[str, ContrastFamily] = {
    "pairwise": ContrastFamily(_pairwise, "tukey", is_pairwise=True),
    "revpairwise": ContrastFamily(_reversed, "tukey", is_pairwise=True),
    "trt.vs.ctrl": ContrastFamily(_against_control, "mvt"),
    "consec": ContrastFamily(_sequential, "mvt"),
    "poly": ContrastFamily(_polynomial, "none"),
    "eff": ContrastFamily(_from_the_mean, "fdr"),
}
"""Every set of contrasts by name."""

SYNONYMS = {
    "vs control": "trt.vs.ctrl",
    "control": "trt.vs.ctrl",
    "dunnett": "trt.vs.ctrl",
    "sequential": "consec",
    "polynomial": "poly",
    "tukey": "pairwise",
}


def family_named(name: str) -> ContrastFamily:
    """Return a set of contrasts by its name; an error names the closest one."""
    known = SYNONYMS.get(name, name)
    if known in FAMILIES:
        return FAMILIES[known]
    available = (*FAMILIES, *SYNONYMS)
    closest = closest_name(name, available)
    raise OptionError(
        f"`{name}` is not a set of contrasts.",
        got=f"available: {listed(available, 20)}",
        suggestion=f'`contrasts("{closest or "pairwise"}")`, or a dict of coefficients',
        argument="method",
        value=name,
        closest=closest,
        available=available,
    )


def contrast_set(method: Any, labels: Sequence[str], control: int) -> ContrastSet:
    """Make contrasts among means.

    Parameters
    ----------
    method : str, mapping or array
        A key of ``FAMILIES``, coefficients by name, or an array with one row per contrast.
    labels : sequence of str
        Labels of the means.
    control : int
        Position of the control.
    """
    if isinstance(method, str):
        return family_named(method).make(labels, control)
    if isinstance(method, Mapping):
        names = [str(name) for name in method]
        rows = [_one(name, row, labels) for name, row in zip(names, method.values(), strict=True)]
    else:
        array = np.atleast_2d(np.asarray(method, dtype=np.float64))
        names = [f"c{i + 1}" for i in range(len(array))]
        rows = [_one(name, row, labels) for name, row in zip(names, array, strict=True)]
    if not rows:
        raise OptionError(
            "there is no contrast to compute.",
            got=repr(method),
            suggestion='`contrasts("pairwise")`',
        )
    return ContrastSet(tuple(names), np.array(rows))


def _one(name: str, row: Any, labels: Sequence[str]) -> FloatArray:
    """Coefficients of one contrast: one per mean, or by label."""
    if isinstance(row, Mapping):
        unknown = [label for label in row if str(label) not in labels]
        if unknown:
            raise OptionError(
                f"the contrast `{name}` names a mean that there is not.",
                got=f"{listed([repr(u) for u in unknown])} (means: {listed(labels)})",
                suggestion=f"`{{{name!r}: {{{labels[0]!r}: 1, {labels[-1]!r}: -1}}}}`",
                contrast=name,
                available=tuple(labels),
            )
        given = {str(label): float(value) for label, value in row.items()}
        return np.array([given.get(label, 0.0) for label in labels])
    values = np.asarray(row, dtype=np.float64)
    if values.shape != (len(labels),):
        raise DimensionError(
            f"the contrast `{name}` must have one coefficient per mean.",
            got=f"shape {values.shape} for {len(labels)} means ({listed(labels)})",
            suggestion=f"{len(labels)} numbers, in the order of the means",
            contrast=name,
            expected=len(labels),
            available=tuple(labels),
        )
    if not np.isfinite(values).all():
        raise OptionError(
            f"the contrast `{name}` has coefficients that are not finite.",
            got=f"{values.tolist()}",
            suggestion="finite numbers",
            contrast=name,
        )
    return values
