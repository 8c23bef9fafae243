"""Variances, standard deviations and correlations of the random effects, and how they print."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from lmmformula._arrays import FloatArray
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
        Covariance structure; correlations of ``diag`` are zero by construction and not listed.
    factor : ndarray, shape (k, k)
        Lower-triangular factor of the covariance matrix, in the unit of the response.
    """

    label: str
    group: str
    effects: tuple[str, ...]
    structure: str
    factor: FloatArray

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
        """Whether correlations are parameters of the term."""
        return len(self.effects) > 1 and self.structure != "diag"

    @property
    def pairs(self) -> list[tuple[int, int]]:
        """Positions (row, column) below the diagonal, by columns, where correlations are free."""
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
            got=f"labels {', '.join(f'`{name}`' for name in available)}",
            suggestion=f'`varcorr["{available[0]}"]`',
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
        """Name the standard deviations and correlations, in the order of ``theta``.

        Returns
        -------
        Series
            Index ``sd_Intercept|Subject``, ``cor_Days.Intercept|Subject``, ..., ``sigma``.
        """
        named = [item for term in self.terms for item in _named(term)]
        named.append(("sigma", self.sigma))
        return pd.Series([v for _, v in named], index=[n for n, _ in named], name="estimate")

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
        seen: dict[str, int] = {}
        terms = []
        for block, template in zip(blocks, templates, strict=True):
            count = seen.get(block.group, 0)
            seen[block.group] = count + 1
            label = f"{block.group}.{count}" if count else block.group
            terms.append(
                VarCorrTerm(
                    label, block.group, block.effect_names, block.structure, sigma * template
                )
            )
        return cls(tuple(terms), float(sigma))


def _frame_rows(term: VarCorrTerm, order: str) -> list[tuple[Any, ...]]:
    sd, cov, corr = term.sd_values, term.cov_values, term.corr_values
    diagonal = {
        (i, i): (term.label, name, None, cov[i, i], sd[i]) for i, name in enumerate(term.effects)
    }
    below = {
        (i, j): (term.label, term.effects[j], term.effects[i], cov[i, j], corr[i, j])
        for i, j in term.pairs
    }
    if order == "cov.last":
        return [*diagonal.values(), *below.values()]
    both = {**diagonal, **below}
    return [both[key] for key in sorted(both, key=lambda key: (key[1], key[0]))]


def _named(term: VarCorrTerm) -> list[tuple[str, float]]:
    sd, corr, names = term.sd_values, term.corr_values, term.effects
    pairs = set(term.pairs)
    out: list[tuple[str, float]] = []
    for j, name in enumerate(names):
        out.append((f"sd_{name}|{term.group}", float(sd[j])))
        out.extend(
            (f"cor_{names[i]}.{name}|{term.group}", float(corr[i, j]))
            for i in range(j + 1, len(names))
            if (i, j) in pairs
        )
    return out


def varcorr_table(varcorr: VarCorr, title: str = "Random effects") -> Table:
    """Variance, standard deviation and correlations of every effect, then the residual."""
    width = max((len(t.effects) - 1 for t in varcorr.terms if t.has_correlations), default=0)
    columns = (
        Column("Group"),
        Column("Effect"),
        Column("Variance", "estimate"),
        Column("Std. dev.", "estimate"),
        *(Column("Corr." if i == 0 else "", "correlation") for i in range(width)),
    )
    rows: list[tuple[Any, ...]] = []
    for term in varcorr.terms:
        sd, corr = term.sd_values.tolist(), term.corr_values
        for i, name in enumerate(term.effects):
            known = [corr[i, j] for j in range(i)] if term.has_correlations else []
            group = term.label if i == 0 else ""
            rows.append((group, name, sd[i] * sd[i], sd[i], *known, *[None] * (width - len(known))))
    rows.append(("Residual", "", varcorr.sigma * varcorr.sigma, varcorr.sigma, *[None] * width))
    return Table(title, columns, tuple(rows))
