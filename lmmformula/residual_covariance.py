r"""Covariance of the residuals: correlation within groups and variance functions, by their words.

With standard deviations :math:`\sigma g_i` and correlations C the residuals have covariance
:math:`\sigma^2 R`, R = G C G. Every variance function is log-linear, :math:`\log g = A\delta`, so
one is only a design matrix A, its coefficients' names, and what users call them.

References
----------
Pinheiro and Bates (2000), Mixed-Effects Models in S and S-PLUS, sections 5.2 and 5.3.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from lmmformula._arrays import FloatArray
from lmmformula.covariance.correlation import (
    Arma,
    AutoRegressive,
    CompoundSymmetry,
    ContinuousAutoRegressive,
    Correlation,
    Toeplitz,
    UnstructuredCorrelation,
)
from lmmformula.matrices import ResidualRows, VarianceRows

__all__ = [
    "CORRELATIONS",
    "VARIANCES",
    "CorrelationKind",
    "VarianceDesign",
    "variance_design",
    "variance_rows",
    "variant",
]

Scale: TypeAlias = Literal["ratio", "power"]


@dataclass(frozen=True, slots=True)
class CorrelationKind:
    """A word for the residuals' correlation.

    Attributes
    ----------
    correlation : type of Correlation
    family : str
        The word without a prefix for equal or different variances.
    homogeneous : bool
        Equal variances; otherwise one for each position.
    """

    correlation: type[Correlation]
    family: str
    homogeneous: bool

    @property
    def time(self) -> str:
        """What positions mean: "none", "discrete" or "continuous"."""
        return self.correlation.time


CORRELATIONS: dict[str, CorrelationKind] = {
    "cs": CorrelationKind(CompoundSymmetry, "cs", homogeneous=False),
    "homcs": CorrelationKind(CompoundSymmetry, "cs", homogeneous=True),
    "ar1": CorrelationKind(AutoRegressive, "ar1", homogeneous=True),
    "hetar1": CorrelationKind(AutoRegressive, "ar1", homogeneous=False),
    "arma": CorrelationKind(Arma, "arma", homogeneous=True),
    "hetarma": CorrelationKind(Arma, "arma", homogeneous=False),
    "toep": CorrelationKind(Toeplitz, "toep", homogeneous=False),
    "homtoep": CorrelationKind(Toeplitz, "toep", homogeneous=True),
    "us": CorrelationKind(UnstructuredCorrelation, "us", homogeneous=False),
    "homus": CorrelationKind(UnstructuredCorrelation, "us", homogeneous=True),
    "car1": CorrelationKind(ContinuousAutoRegressive, "car1", homogeneous=True),
}


def variant(name: str, hom: bool) -> str | None:
    """Word of the same correlation with equal (``hom``) or different variances, or None."""
    family = CORRELATIONS[name].family
    words = (word for word, kind in CORRELATIONS.items() if kind.family == family)
    return next((word for word in words if CORRELATIONS[word].homogeneous == hom), None)


@dataclass(frozen=True, slots=True, eq=False)
class VarianceDesign:
    """Log standard deviations of the rows as ``columns @ delta``, in well-scaled coefficients.

    Attributes
    ----------
    columns : ndarray, shape (n, m)
    scale : ndarray, shape (m,)
        The user's coefficient is ``delta / scale``.
    names : tuple of str, length m
    kind : {"ratio", "power"}
        Ratios of standard deviations (exp of the coefficients), or the coefficients themselves.
    """

    columns: FloatArray
    scale: FloatArray
    names: tuple[str, ...]
    kind: Scale

    def natural(self, delta: FloatArray) -> FloatArray:
        """What users see of coefficients (m,)."""
        return np.exp(delta) if self.kind == "ratio" else delta / self.scale

    def from_natural(self, values: FloatArray) -> FloatArray:
        """Inverse of ``natural``."""
        return np.log(values) if self.kind == "ratio" else values * self.scale

    def columns_of(self, rows: VarianceRows) -> FloatArray:
        """Columns of other rows of the same function, (n, m)."""
        return _coded(rows, self.scale)


def _coded(rows: VarianceRows, scale: FloatArray) -> FloatArray:
    """One column for each coefficient; NaN in rows without a stratum."""
    n = len(rows.codes)
    columns = np.zeros((n, len(rows.levels)))
    is_ident = rows.function == "ident"
    columns[np.arange(n), rows.codes] = 1.0 if is_ident else _covariate(rows)
    columns[rows.codes < 0] = np.nan
    return columns[:, 1:] if is_ident else np.asarray(columns / scale)


def _covariate(rows: VarianceRows) -> FloatArray:
    assert rows.covariate is not None
    with np.errstate(divide="ignore"):
        return np.log(np.abs(rows.covariate)) if rows.function == "power" else rows.covariate


def _ident(rows: VarianceRows) -> VarianceDesign:
    """A standard deviation for each stratum, relative to the first one's."""
    names = tuple(f"ratio_{level}" for level in rows.levels[1:])
    ones = np.ones(len(names))
    return VarianceDesign(_coded(rows, ones), ones, names, "ratio")


def _loglinear(word: str) -> Callable[[VarianceRows], VarianceDesign]:
    def build(rows: VarianceRows) -> VarianceDesign:
        values = _covariate(rows)
        m = len(rows.levels)
        size = float(np.std(values)) or 1.0
        scale = np.full(m, size)
        names = (word,) if m == 1 else tuple(f"{word}.{level}" for level in rows.levels)
        return VarianceDesign(_coded(rows, scale), scale, names, "power")

    return build


VARIANCES: dict[str, Callable[[VarianceRows], VarianceDesign]] = {
    "ident": _ident,
    "power": _loglinear("power"),
    "exp": _loglinear("expon"),
}


def variance_rows(rows: ResidualRows) -> tuple[VarianceRows, ...]:
    """All variance functions: those given, and the structure's own over its positions."""
    if rows.correlation is None or CORRELATIONS[rows.correlation].homogeneous:
        return rows.variances
    codes = np.where(np.isnan(rows.positions), -1.0, rows.positions).astype(np.int32)
    return (*rows.variances, VarianceRows("ident", None, codes, rows.labels, rows.text))


def variance_design(rows: VarianceRows) -> VarianceDesign:
    """Design of one variance function over the rows of a fit."""
    return VARIANCES[rows.function](rows)
