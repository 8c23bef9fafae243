"""Repeated-measures analysis of variance from long data: ``lf.rm_anova``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import scipy.stats

from lmmformula.calls import lmm
from lmmformula.classical.rm_cells import CellTable, tabulate
from lmmformula.classical.rm_data import read_long
from lmmformula.classical.rm_effects import Effect, Stratum, strata
from lmmformula.classical.rm_mixed import long_frame, moment_components
from lmmformula.classical.rm_multivariate import multivariate_tests
from lmmformula.classical.rm_options import HF, Options, SumType, checked_options, checked_roles
from lmmformula.classical.rm_print import tables
from lmmformula.classical.rm_sphericity import Sphericity, is_singular, sphericity
from lmmformula.design.notify import notify
from lmmformula.errors import DesignError, InferenceWarning
from lmmformula.model import LinearMixedModel
from lmmformula.report.printed import Printed
from lmmformula.report.render import Medium, render_all

__all__ = ["RepeatedMeasuresAnova", "rm_anova"]

INTERCEPT = "Intercept"


@dataclass(frozen=True, eq=False, repr=False)
class RepeatedMeasuresAnova(Printed):
    """A repeated-measures analysis of variance.

    Attributes
    ----------
    table : CellTable
        The complete design, subjects by cells.
    strata : tuple of Stratum
        Sums of squares and products, by error term.
    options : Options
        How it was done.
    """

    table: CellTable
    strata: tuple[Stratum, ...]
    options: Options

    def to_frame(self, *, intercept: bool = False) -> pd.DataFrame:
        """Return the table of tests, a row per effect.

        Parameters
        ----------
        intercept : bool, default False
            With the test of the overall mean against zero.

        Returns
        -------
        DataFrame
            Columns ``F, num_df, den_df, pvalue`` of the uncorrected test; ``eps_gg, pvalue_gg`` and
            ``eps_hf, pvalue_hf`` corrected for departures from sphericity (missing between
            subjects, where nothing is to be corrected, and where the error matrix is singular; an
            epsilon above 1 counts as 1); ``ges, pes``, the generalised and the partial eta squared;
            ``sum_sq, sum_sq_error``.
        """
        first = 0 if intercept else 1
        return self._frame.iloc[first:].copy()

    @property
    def mauchly(self) -> pd.DataFrame:
        """Mauchly's tests of sphericity.

        A row per effect with two contrasts of the within factors or more; columns ``W, pvalue``,
        missing where the error matrix is singular.
        """
        rows: dict[str, tuple[float, ...]] = {
            effect.name: (judged.W, judged.pvalue)
            for stratum, judged in zip(self.strata, self._judged, strict=True)
            for effect in stratum.effects
            if judged is not None and stratum.d > 1
        }
        return _by_effect(rows, ["W", "pvalue"])

    @property
    def epsilons(self) -> pd.DataFrame:
        """Estimates of epsilon for effects with within factors.

        Columns ``greenhouse_geisser, huynh_feldt, lecoutre, lower_bound``; ``huynh_feldt`` is the
        one published in 1976, ``lecoutre`` its correction of 1991. Not cut off at 1.
        """
        names = ["greenhouse_geisser", "huynh_feldt", "lecoutre", "lower_bound"]
        rows = {
            effect.name: tuple(getattr(judged, name) for name in names)
            for stratum, judged in zip(self.strata, self._judged, strict=True)
            for effect in stratum.effects
            if judged is not None
        }
        return _by_effect(rows, names)

    def multivariate(self, *, intercept: bool = False) -> pd.DataFrame:
        """Return tests that do not assume sphericity.

        Parameters
        ----------
        intercept : bool, default False
            With the tests of the overall mean.

        Returns
        -------
        DataFrame
            Columns ``effect, test, value, F, num_df, den_df, pvalue``, with Pillai's trace, Wilks'
            lambda, the Hotelling-Lawley trace and Roy's largest root for every effect. The p-value
            of Roy's root is a lower bound unless it agrees with the others.

        Raises
        ------
        DesignError
            There are too few subjects for any of them.
        """
        if all(is_singular(stratum) for stratum in self.strata[1:]):
            raise DesignError(
                "the multivariate tests need more subjects: the error matrix is singular.",
                got=_sizes(self.strata[1:]),
                suggestion="`to_frame()` for the univariate tests; a mixed model, `mixed_model()`",
                n_subjects=len(self.table.Y),
            )
        frame = multivariate_tests(self.strata)
        return frame if intercept else frame[frame["effect"] != INTERCEPT].reset_index(drop=True)

    def mixed_model(self) -> LinearMixedModel:
        """Return the mixed model with the same strata, not fitted.

        It has the same fixed effects in sum contrasts and a random intercept for each error term
        but the last. Its F tests equal those of this analysis if ``agrees_with_mixed_model``.

        Returns
        -------
        LinearMixedModel
            On the numbers that were analysed; ``.formula`` shows it, ``.fit()`` fits it.

        Examples
        --------
        >>> import lmmformula as lf
        >>> data = lf.load_dataset("grocery")
        >>> table = lf.rm_anova(data, response="price", subject="item", within="store")
        >>> table.mixed_model().formula
        'price ~ store + (1 | item)'
        """
        codings = dict.fromkeys(self.table.long.roles.factors, "sum")
        return lmm(self.table.long.mixed_formula(), long_frame(self.table), contrasts=codings)

    @property
    def mixed_call(self) -> str:
        """The call that fits the mixed model to long data, ready to be pasted."""
        return self.table.long.mixed_call()

    @cached_property
    def variance_components(self) -> pd.Series:
        """Variances of the mixed model by the method of moments; they can be negative."""
        return moment_components(self.table, self.strata)

    @property
    def agrees_with_mixed_model(self) -> bool:
        """Whether the mixed model has the same F tests: no variance component is negative.

        With one within factor that is the case if the mean square between subjects is at least the
        one within. Otherwise a variance of the mixed model is zero, and its tests differ.
        """
        return bool((self.variance_components >= 0.0).all())

    @property
    def notes(self) -> tuple[str, ...]:
        """What should be known when the table is read."""
        hf = "with Lecoutre's correction" if self.options.hf == "lecoutre" else "as published"
        frame = self.to_frame()
        notes = [f"GG: Greenhouse and Geisser; HF: Huynh and Feldt, {hf}."]
        if (frame["eps_hf"] > 1.0).any():
            notes.append("An epsilon above 1 counts as 1 in its p-value.")
        if not self.agrees_with_mixed_model:
            negative = self.variance_components[self.variance_components < 0.0].index
            notes.append(
                f"The variance of {', '.join(f'`{name}`' for name in negative)} is negative by "
                "moments; the mixed model has zero there and other F tests."
            )
        return tuple(notes)

    @cached_property
    def _judged(self) -> tuple[Sphericity | None, ...]:
        n_subjects, n_cells = self.table.Y.shape
        return tuple(
            sphericity(stratum, n_subjects, n_cells) if stratum.within else None
            for stratum in self.strata
        )

    @cached_property
    def _frame(self) -> pd.DataFrame:
        rows = {
            effect.name: self._row(effect, stratum, judged)
            for stratum, judged in zip(self.strata, self._judged, strict=True)
            for effect in stratum.effects
        }
        tests = ["F", "num_df", "den_df", "pvalue", "eps_gg", "pvalue_gg", "eps_hf", "pvalue_hf"]
        return _by_effect(rows, [*tests, "ges", "pes", "sum_sq", "sum_sq_error"])

    def _row(
        self, effect: Effect, stratum: Stratum, judged: Sphericity | None
    ) -> tuple[float, ...]:
        num, den = effect.df * stratum.d, stratum.df * stratum.d
        error = stratum.sum_sq
        F = effect.sum_sq / num / (error / den) if error else np.nan
        gg = hf = np.nan
        if judged is not None:
            gg = judged.greenhouse_geisser
            hf = judged.lecoutre if self.options.hf == "lecoutre" else judged.huynh_feldt
        p, p_gg, p_hf = (
            float(scipy.stats.f.sf(F, min(eps, 1.0) * num, min(eps, 1.0) * den))
            if eps == eps
            else np.nan
            for eps in (1.0, gg, hf)
        )
        pes = effect.sum_sq / (effect.sum_sq + error) if error else np.nan
        sums = (effect.sum_sq, error)
        return (F, num, den, p, gg, p_gg, hf, p_hf, self._generalised(effect), pes, *sums)

    def _generalised(self, effect: Effect) -> float:
        """Generalised eta squared of an effect (Olejnik and Algina)."""
        observed = set(self.options.observed)
        total = sum(stratum.sum_sq for stratum in self.strata) + sum(
            other.sum_sq
            for stratum in self.strata
            for other in stratum.effects
            if other is not effect and observed & {*other.between, *other.within}
        )
        return effect.sum_sq / (effect.sum_sq + total)

    def _write(self, medium: Medium) -> str:
        return render_all(tables(self), medium)


def rm_anova(
    data: Any,
    *,
    response: str,
    subject: str,
    within: str | Sequence[str],
    between: str | Sequence[str] | None = None,
    type: SumType = "III",
    hf: HF = "lecoutre",
    observed: str | Sequence[str] | None = None,
    aggregate: str | None = None,
    missing: str = "raise",
) -> RepeatedMeasuresAnova:
    """Analyse a repeated-measures design, with corrections for departures from sphericity.

    Parameters
    ----------
    data : pandas, polars or pyarrow table, or dict of arrays
        Long form: one row per subject and cell of the within factors. Not modified.
    response, subject : str
        Columns of what was measured, and on whom.
    within, between : str or sequence of str
        Columns of the factors that vary within subjects and between them. Numbers count as labels.
        Subjects need not be spread evenly over the between factors.
    type : {"III", "II"}
        Adjust effects of between factors for all others, in sum contrasts, or for those that do not
        contain them. With groups of one size it makes no difference.
    hf : {"lecoutre", "huynh-feldt"}
        Huynh and Feldt's epsilon with Lecoutre's correction, which is what car and afex report, or
        as published in 1976. With one group of subjects they are equal.
    observed : str or sequence of str, optional
        Factors that were observed, not manipulated, for the generalised eta squared.
    aggregate : {None, "mean"}
        Take means over several rows of a subject in a cell, missing values left out.
    missing : {"raise", "drop"}
        Refuse data in which a subject lacks a cell, or leave these subjects out with a warning.

    Returns
    -------
    RepeatedMeasuresAnova
        Prints itself; ``.to_frame()``, ``.mauchly``, ``.epsilons``, ``.multivariate()``,
        ``.mixed_model()``.

    Raises
    ------
    DataError
        A column is unknown, not numeric, or missing; subjects lack cells, have several rows in one,
        or are in several groups.
    DesignError
        A factor has one level, a combination of between factors no subject, or there are too few
        subjects for any test.
    OptionError
        An argument is none of the above.

    Warns
    -----
    InferenceWarning
        Too few subjects for the sphericity test and the corrections of an effect.
    DroppedRowsWarning
        Subjects were left out.

    References
    ----------
    O'Brien and Kaiser (1985), Psychological Bulletin 97, 316-333.
    Olejnik and Algina (2003), Psychological Methods 8, 434-447.

    Examples
    --------
    >>> import lmmformula as lf
    >>> data = lf.load_dataset("grocery")
    >>> table = lf.rm_anova(data, response="price", subject="item", within="store").to_frame()
    >>> table.loc["store", ["F", "num_df", "den_df"]].round(6).tolist()
    [4.344209, 3.0, 27.0]
    >>> table.loc["store", ["eps_gg", "pvalue_gg", "eps_hf", "pvalue_hf"]].round(5).tolist()
    [0.63911, 0.03093, 0.80823, 0.02034]
    """
    roles = checked_roles(response, subject, within, between)
    options = checked_options(roles, type, hf, observed, aggregate, missing)
    table = tabulate(read_long(data, roles), options.aggregate, options.missing)
    result = RepeatedMeasuresAnova(table, strata(table, options.type), options)
    _tell(result)
    return result


def _tell(result: RepeatedMeasuresAnova) -> None:
    """Warn of tests that cannot be had."""
    without = [stratum for stratum in result.strata[1:] if stratum.d > 1 and is_singular(stratum)]
    if not without:
        return
    names = [effect.name for stratum in without for effect in stratum.effects]
    largest = max(without, key=lambda stratum: stratum.d)
    needed = len(result.table.Y) - largest.df + largest.d
    more = f"at least {needed} subjects, or " if largest.df < largest.d else ""
    notify(
        InferenceWarning(
            "sphericity cannot be judged, nor departures corrected, for "
            f"{', '.join(f'`{name}`' for name in names)}: the error matrix is singular.",
            got=_sizes(without),
            suggestion=f"{more}a mixed model, `{result.mixed_call}`",
            effects=tuple(names),
            needed=needed,
        )
    )


def _sizes(without: Sequence[Stratum]) -> str:
    largest = max(without, key=lambda stratum: stratum.d)
    contrasts = f"the {largest.d} contrasts of `{':'.join(largest.within)}`"
    if largest.df < largest.d:
        return f"{largest.df} degrees of freedom of error for {contrasts}"
    return f"errors of {contrasts} that are zero or determine each other"


def _by_effect(rows: dict[str, tuple[float, ...]], columns: Sequence[str]) -> pd.DataFrame:
    frame = pd.DataFrame.from_dict(rows, orient="index", columns=list(columns))
    frame.index.name = "effect"
    return frame
