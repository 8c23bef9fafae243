"""Variances, standard deviations and correlations of the random effects, and how they print."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from lmmformula._arrays import FloatArray
from lmmformula.covariance import NaturalParameter, Structure, make_structure, parameter_names
from lmmformula.covariance.natural import term_labels
from lmmformula.errors import OptionError
from lmmformula.matrices import RandomBlock
from lmmformula.report.render import render
from lmmformula.report.table import Column, Table

__all__ = ["VarCorr", "VarCorrTerm", "varcorr_table"]

_COLUMNS = ["grp", "var1", "var2", "vcov", "sdcor"]


@dataclass(frozen=True, slots=True, eq=False)
class VarCorrTerm:
    """Covariance of the effects of one random-effects term.

    Attributes
    ----------
    label : str
        Unique name, as R makes it: ``Subject``, and ``Subject.1`` for a second term on it.
    group : str
        Grouping factor.
    effects : tuple of str, length k
        Names of the effects.
    structure : str
        Covariance structure, by the word that formulas use.
    factor : ndarray, shape (k, k)
        Lower-triangular factor of the covariance matrix, in the unit of the response.
    is_related : bool
        A known relationship correlates the levels.
    positions : ndarray, shape (k, d), or None
        Coordinates of the effects, for structures over times or places.
    """

    label: str
    group: str
    effects: tuple[str, ...]
    structure: str
    factor: FloatArray
    is_related: bool = False
    positions: FloatArray | None = None

    @property
    def kind(self) -> Structure:
        """The covariance structure itself."""
        return make_structure(self.structure, len(self.effects), self.positions)

    @property
    def natural_parameters(self) -> tuple[NaturalParameter, ...]:
        """What the structure's parameters are: names, ranges, and the effects they describe."""
        return self.kind.natural_parameters(self.effects)

    @property
    def natural_values(self) -> FloatArray:
        """Their values as an array: standard deviations in the unit of the response."""
        return self.kind.natural(self.factor)

    @property
    def has_triangle(self) -> bool:
        """Whether every pair of effects has a correlation of its own."""
        return len(self.effects) > 1 and self.structure == "us"

    @property
    def sd(self) -> pd.Series:
        """Standard deviations, by effect."""
        return pd.Series(self.sd_values, index=list(self.effects), name="sd")

    @property
    def cov(self) -> pd.DataFrame:
        """Covariance matrix, effect by effect."""
        return self._square(self.cov_values)

    @property
    def corr(self) -> pd.DataFrame:
        """Correlation matrix, effect by effect; NaN beside a variance of zero."""
        return self._square(self.corr_values)

    @property
    def sd_values(self) -> FloatArray:
        """Standard deviations as an array, shape (k,)."""
        return np.array([_norm(row) for row in self.factor])

    @property
    def cov_values(self) -> FloatArray:
        """Covariance matrix as an array, shape (k, k)."""
        with np.errstate(over="ignore", invalid="ignore"):
            return np.asarray(self.factor @ self.factor.T)

    @property
    def corr_values(self) -> FloatArray:
        """Correlation matrix as an array, shape (k, k)."""
        sd = self.sd_values
        with np.errstate(invalid="ignore", divide="ignore"):
            rows = self.factor / sd[:, None]
        corr = np.clip(rows @ rows.T, -1.0, 1.0)
        np.fill_diagonal(corr, np.where(sd > 0, 1.0, np.nan))
        return np.asarray(corr)

    @property
    def has_correlations(self) -> bool:
        """Whether effects of the term may be correlated."""
        return any(parameter.kind != "sd" for parameter in self.natural_parameters)

    @property
    def pairs(self) -> list[tuple[int, int]]:
        """Positions (row, column) below the diagonal, by columns, where effects may correlate."""
        k = len(self.effects) if self.has_correlations else 0
        return [(row, column) for column in range(k) for row in range(column + 1, k)]

    def _square(self, values: FloatArray) -> pd.DataFrame:
        names = list(self.effects)
        return pd.DataFrame(values, index=names, columns=names)


def _norm(row: FloatArray) -> float:
    """Euclidean norm that neither overflows nor underflows."""
    largest = float(np.max(np.abs(row)))
    if not 0.0 < largest < np.inf:
        return largest
    return float(largest * np.sqrt(np.sum((row / largest) ** 2)))


@dataclass(frozen=True, slots=True, eq=False)
class VarCorr:
    """Variance components of a fit; printing them gives the table R users know.

    Attributes
    ----------
    terms : tuple of VarCorrTerm
        In lme4's order. ``varcorr["Subject"]`` picks one by its label.
    sigma : float
        Residual standard deviation.
    """

    terms: tuple[VarCorrTerm, ...]
    sigma: float

    def __getitem__(self, label: str) -> VarCorrTerm:
        for term in self.terms:
            if term.label == label:
                return term
        available = tuple(term.label for term in self.terms)
        raise OptionError(
            f"there is no random-effects term with the label `{label}`.",
            got=f"labels {', '.join(f'`{name}`' for name in available) or 'none'}",
            suggestion=f'`varcorr["{available[0]}"]`' if available else "`varcorr.sigma`",
            available=available,
        )

    def __iter__(self) -> Iterator[VarCorrTerm]:
        return iter(self.terms)

    def __len__(self) -> int:
        return len(self.terms)

    def to_frame(self, order: Literal["cov.last", "lower.tri"] = "cov.last") -> pd.DataFrame:
        """Return one row per variance or covariance, as R's ``as.data.frame(VarCorr(m))``.

        Parameters
        ----------
        order : {"cov.last", "lower.tri"}
            Within a term: variances before covariances, or the lower triangle by columns
            (the order of ``theta``).

        Returns
        -------
        DataFrame
            Columns ``grp, var1, var2, vcov, sdcor``; ``var2`` is missing on variance rows, and
            ``sdcor`` is a standard deviation there and a correlation elsewhere. The last row is
            the residual.
        """
        if order not in ("cov.last", "lower.tri"):
            raise OptionError(
                f"`order={order!r}` is not an order of the variance components.",
                suggestion='`order="cov.last"` or `order="lower.tri"`',
                available=("cov.last", "lower.tri"),
            )
        rows = [row for term in self.terms for row in _frame_rows(term, order)]
        rows.append(("Residual", None, None, self.sigma * self.sigma, self.sigma))
        return pd.DataFrame(rows, columns=_COLUMNS)

    def parameters(self) -> pd.Series:
        """Name the natural parameters, in the order of ``theta``.

        Returns
        -------
        Series
            Index ``sd_Intercept|Subject``, ``cor_Days.Intercept|Subject``, ..., ``sigma``.
            Structured terms have those of their structure: ``sd|Subject`` where all effects share
            one, ``rho|Subject``, ``rho_1|Subject``, ``range|Subject``.
        """
        values = [term.natural_values for term in self.terms]
        names = [*self.names, "sigma"]
        return pd.Series(np.concatenate([*values, [self.sigma]]), index=names, name="estimate")

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the natural parameters of all terms."""
        named = parameter_names(
            [term.kind for term in self.terms],
            [term.effects for term in self.terms],
            [term.group for term in self.terms],
        )
        return tuple(name for part in named for name in part)

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        return render(varcorr_table(self))

    def _repr_html_(self) -> str:
        return render(varcorr_table(self), "html")

    @classmethod
    def from_estimates(
        cls, blocks: Sequence[RandomBlock], templates: Sequence[FloatArray], sigma: float
    ) -> VarCorr:
        """Put names to the relative factors of the terms."""
        labels = term_labels([block.group for block in blocks])
        terms = [
            VarCorrTerm(
                label,
                block.group,
                block.effect_names,
                block.structure,
                sigma * template,
                block.relationship is not None,
                block.positions,
            )
            for label, block, template in zip(labels, blocks, templates, strict=True)
        ]
        return cls(tuple(terms), float(sigma))


def _frame_rows(term: VarCorrTerm, order: str) -> Iterator[tuple[Any, ...]]:
    k, effects, label = len(term.effects), term.effects, term.label
    cov, corr = term.cov_values, term.corr_values
    np.fill_diagonal(corr, term.sd_values)
    columns, rows = np.triu_indices(k)
    if not term.has_correlations:
        columns = rows = np.arange(k)
    if order == "cov.last":
        last = np.argsort(rows != columns, kind="stable")
        rows, columns = rows[last], columns[last]
    values = cov[rows, columns].tolist(), corr[rows, columns].tolist()
    for i, j, one, other in zip(rows.tolist(), columns.tolist(), *values, strict=True):
        yield label, effects[j], None if i == j else effects[i], one, other


def varcorr_table(varcorr: VarCorr, title: str = "Random effects") -> Table:
    """Variances, standard deviations and correlations of every term, then the residual.

    A term with a correlation of its own for every pair has a triangle of them; any other has its
    natural parameters: one row where all effects share a standard deviation, otherwise one for
    each effect, and one for each parameter of the correlation.
    """
    layout = _Layout.of(varcorr.terms)
    rows = [row for term in varcorr.terms for row in _table_rows(term, layout)]
    rows.append(layout.row("Residual", "", varcorr.sigma))
    related = dict.fromkeys(term.group for term in varcorr.terms if term.is_related)
    notes = tuple(
        f"{group}: related levels; variances are where the relationship's diagonal is one."
        for group in related
    )
    title = title if varcorr.terms else "Residual variance"
    return Table(title, layout.columns, tuple(rows), notes)


@dataclass(frozen=True, slots=True)
class _Layout:
    """Which columns a table of variance components needs."""

    width: int
    has_range: bool

    @classmethod
    def of(cls, terms: Sequence[VarCorrTerm]) -> _Layout:
        kinds = {p.kind for term in terms if not term.has_triangle for p in term.natural_parameters}
        triangle = max((len(term.effects) - 1 for term in terms if term.has_triangle), default=0)
        return cls(max(triangle, int("correlation" in kinds)), "positive" in kinds)

    @property
    def columns(self) -> tuple[Column, ...]:
        return (
            Column("Group"),
            Column("Effect"),
            Column("Variance", "estimate"),
            Column("Std. dev.", "estimate"),
            *(Column("Corr." if i == 0 else "", "correlation") for i in range(self.width)),
            *((Column("Range", "estimate"),) if self.has_range else ()),
        )

    def row(
        self,
        group: str,
        effect: str,
        sd: float | None = None,
        corr: Sequence[float] = (),
        length: float | None = None,
    ) -> tuple[Any, ...]:
        variance = None if sd is None else sd * sd
        empty = [None] * (self.width - len(corr))
        return (group, effect, variance, sd, *corr, *empty, *([length] if self.has_range else []))


def _table_rows(term: VarCorrTerm, layout: _Layout) -> Iterator[tuple[Any, ...]]:
    if term.has_triangle:
        corr = term.corr_values
        for i, (name, sd) in enumerate(zip(term.effects, term.sd_values.tolist(), strict=True)):
            yield layout.row("" if i else term.label, name, sd, corr[i, :i].tolist())
        return
    label, word = term.label, term.structure
    values = term.natural_values.tolist()
    for parameter, value in zip(term.natural_parameters, values, strict=True):
        if parameter.kind == "sd":
            shared = f"{word}, {len(term.effects)} effects"
            name = term.effects[parameter.effects[0]] if parameter.effects else shared
            yield layout.row(label, name, value)
        else:
            name = f"{word}: {parameter.name}"
            if parameter.kind == "positive":
                yield layout.row(label, name, length=value)
            else:
                yield layout.row(label, name, corr=(value,))
        label = ""
