"""Several models side by side, as papers print them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from lmmformula.errors import OptionError
from lmmformula.inference.effects.df import DEFAULT_METHOD, check_method
from lmmformula.inference.effects.wald import check_alpha
from lmmformula.publish.collect import collect
from lmmformula.publish.layout import ALONE, layout
from lmmformula.publish.names import Labels
from lmmformula.publish.notes import notes as automatic_notes
from lmmformula.publish.options import (
    FIT,
    LAYOUTS,
    MORE_FIT,
    STATISTICS,
    STYLES,
    Names,
    Options,
    choice,
    read_digits,
    read_stars,
    several,
)
from lmmformula.publish.published import PublicationTable

__all__ = ["etable"]


def etable(
    *results: Any,
    names: Sequence[str] | None = None,
    statistic: str | Iterable[str] | None = "se",
    layout: Literal["below", "beside"] = "below",
    stars: bool | Mapping[str, float] = False,
    digits: int = 3,
    style: Literal["plain", "apa"] = "plain",
    coef_names: Names | None = None,
    keep: str | Iterable[str] = (),
    drop: str | Iterable[str] = (),
    order: str | Iterable[str] = (),
    random: bool | Literal["sd"] = True,
    fit: str | Iterable[str] = FIT,
    ddf: str = DEFAULT_METHOD,
    alpha: float = 0.05,
    robust: str | None = None,
    cluster: str | None = None,
    title: str = "",
    notes: str | Iterable[str] = (),
) -> PublicationTable:
    """Put models side by side in a table for a paper.

    Parameters
    ----------
    *results : LinearMixedResults
        One fit or more, on any data; or one mapping of names to fits.
    names : sequence of str, optional
        Headings; default: (1), (2), ..., for a single model Estimate.
    statistic : str, sequence of str or None
        What stands with every estimate, in this order: "se", "ci", "t", "df", "p".
    layout : {"below", "beside"}
        Statistics in lines below the estimates, or in columns beside them.
    stars : bool or mapping of str to float, default False
        Mark small p-values: True for * 0.05, ** 0.01, *** 0.001, or marks with their limits.
    digits : int, default 3
        Decimals. A row has more where its smallest standard error would become zero. P-values
        have three, degrees of freedom one.
    style : {"plain", "apa"}
        "apa" writes p-values as ``< .001`` and ``.034``, and correlations, R squared and ICC
        without a leading zero.
    coef_names : mapping or callable, optional
        Labels for names of coefficients, random effects, grouping factors and covariance
        parameters (``sd_Days|Subject``, ``sigma``).
    keep, drop, order : str or sequence of str
        Coefficients to show, to leave out, and to put first; ``*`` stands for any characters.
    random : bool or "sd", default True
        Show standard deviations and correlations of random effects and the parameters of
        structures; "sd" leaves out correlations.
    fit : str or sequence of str
        Lines about the fit: "criterion", "llf", "aic", "bic", "r2_marginal", "r2_conditional",
        "icc", which are shown by default, "npar", "deviance", "caic". The number of rows and
        of levels is always shown; a cell stays empty where a model has no such number.
    ddf, alpha, robust, cluster
        As for ``summary``; the same for all models.
    title : str, optional
        Caption.
    notes : str or sequence of str
        Sentences to add to those below the table.

    Returns
    -------
    PublicationTable
        Prints itself; ``as_latex()``, ``as_html()``, ``as_markdown()``, ``gt()``,
        ``save(path)`` and ``to_frame()``.

    Raises
    ------
    OptionError
        An argument is not one of the documented ones, or names a coefficient that no model has.

    Notes
    -----
    Likelihoods of REML fits with different fixed effects, or of fits to different rows, do not
    compare; a sentence below the table says so where they stand side by side.

    Examples
    --------
    >>> import lmmformula as lf
    >>> data = lf.load_dataset("sleepstudy")
    >>> small = lf.lmer("Reaction ~ Days + (1 | Subject)", data)
    >>> large = lf.lmer("Reaction ~ Days + (Days | Subject)", data)
    >>> lf.etable(small, large, digits=2, fit=["aic", "icc"])
    ----------------------------------------------------
                                        (1)       (2)
    ----------------------------------------------------
    Fixed effects
      Intercept                        251.41    251.41
                                        (9.75)    (6.82)
      Days                              10.47     10.47
                                        (0.80)    (1.55)
    ----------------------------------------------------
    Random effects
      Subject: SD Intercept             37.12     24.74
      Subject: SD Days                             5.92
      Subject: corr. Intercept, Days               0.07
      Residual: SD                      30.99     25.59
    ----------------------------------------------------
    Sample and fit
      Observations                      180       180
      Groups: Subject                    18        18
      AIC                             1794.47   1755.63
      ICC                                0.59      0.72
    ----------------------------------------------------
    Standard errors in parentheses.
    """
    fits, found = read_results(results, names)
    check_method(ddf)
    options = Options(
        several("statistic", statistic, STATISTICS),
        choice("layout", layout, LAYOUTS),
        read_stars(stars),
        read_digits(digits),
        choice("style", style, STYLES),
        ddf,
        check_alpha(alpha),
        robust,
        cluster,
        choice("random", random, (True, False, "sd")),
        several("fit", fit, (*FIT, *MORE_FIT)),
    )
    labels = Labels(read_labels(coef_names), _strings(keep), _strings(drop), _strings(order))
    return make_table(fits, found, options, labels, title, _strings(notes))


def make_table(
    fits: Sequence[Any],
    names: Sequence[str],
    options: Options,
    labels: Labels,
    title: str,
    added: Sequence[str],
) -> PublicationTable:
    """Collect the numbers and lay them out."""
    entries = collect(fits, options, labels)
    sentences = [*automatic_notes(fits, names, options), *added]
    table = layout(entries, names, options, sentences)
    return PublicationTable(replace(table, title=str(title)), tuple(names), tuple(entries))


def _strings(value: str | Iterable[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(str(part) for part in value)


def read_results(
    results: Sequence[Any], names: Sequence[str] | None
) -> tuple[list[Any], list[str]]:
    """Fits and their headings."""
    if len(results) == 1 and isinstance(results[0], Mapping):
        names = list(results[0]) if names is None else names
        results = list(results[0].values())
    elif len(results) == 1 and isinstance(results[0], list | tuple):
        results = results[0]
    for result in results:
        if not hasattr(result, "coefficient_columns"):
            raise OptionError(
                "`etable` shows fitted linear mixed models.",
                got=f"an object of type `{type(result).__name__}`",
                suggestion="`lf.etable(lf.lmer(formula_1, data), lf.lmer(formula_2, data))`",
            )
    if not results:
        raise OptionError(
            "`etable` needs at least one fitted model.",
            got="none",
            suggestion="`lf.etable(fit_1, fit_2)`",
        )
    if names is None and len(results) == 1:
        return list(results), list(ALONE)
    if names is None:
        return list(results), [f"({i})" for i in range(1, len(results) + 1)]
    if isinstance(names, str) or len(names) != len(results):
        raise OptionError(
            "`names` must have one heading per model.",
            got=f"`names={names!r}` for {len(results)} model{'' if len(results) == 1 else 's'}",
            suggestion="leave `names` out to number the models",
            argument="names",
        )
    return list(results), [str(name) for name in names]


def read_labels(names: Any) -> Names | None:
    """Labels as given, if they can be looked up."""
    if names is None or callable(names):
        found: Names | None = names
        return found
    if isinstance(names, Mapping) and all(isinstance(label, str) for label in names.values()):
        return names
    raise OptionError(
        "`coef_names` maps names to labels, or is a function that does.",
        got=f"`coef_names={names!r}`",
        suggestion='`coef_names={"Days": "Days without sleep"}`',
        argument="coef_names",
    )
