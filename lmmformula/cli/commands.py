"""The three commands."""

from __future__ import annotations

import argparse

import pandas as pd

from lmmformula.calls import lmm
from lmmformula.cli.output import as_record, comparison, print_json, records, said
from lmmformula.cli.pictures import check_picture, save_picture
from lmmformula.cli.sources import read
from lmmformula.datasets import list_datasets
from lmmformula.errors import LMMWarning, OptionError
from lmmformula.inference.comparison.likelihood_ratio import anova as likelihood_ratio_table
from lmmformula.model import LinearMixedModel
from lmmformula.report import render

__all__ = ["anova", "datasets", "fit"]


def fit(arguments: argparse.Namespace, spoken: list[LMMWarning]) -> None:
    """Run ``lmmformula fit``."""
    if arguments.plot:
        check_picture(arguments.plot)
    model = _model(arguments.formula, read(arguments.data), arguments)
    results = model.fit(reml=not arguments.ml, progress=arguments.progress)
    summary = results.summary() if arguments.ddf is None else results.summary(ddf=arguments.ddf)
    if arguments.plot:
        save_picture(results, arguments.plot)
    if arguments.json:
        print_json(as_record(results, summary.frame, spoken))
    else:
        print(summary)


def anova(arguments: argparse.Namespace, spoken: list[LMMWarning]) -> None:
    """Run ``lmmformula anova``."""
    if len(arguments.formulas) < 2:
        raise OptionError(
            "`lmmformula anova` compares two or more models.",
            got=f"one formula, `{arguments.formulas[0]}`.",
            suggestion='`lmmformula anova "y ~ x + (1 | g)" "y ~ x + (x | g)" DATA`.',
        )
    data, progress = read(arguments.data), arguments.progress
    fits = [
        _model(formula, data, arguments).fit(reml=arguments.reml, progress=progress)
        for formula in arguments.formulas
    ]
    table = likelihood_ratio_table(*fits, refit=False)
    if arguments.json:
        print_json({"models": records(table.reset_index(names="model")), **said(spoken)})
        return
    criterion = "REML criterion" if arguments.reml else "maximum likelihood"
    print(render(comparison(table, criterion)))


def datasets(arguments: argparse.Namespace, _: list[LMMWarning]) -> None:
    """Run ``lmmformula datasets``."""
    table = list_datasets()
    if arguments.json:
        print_json({"datasets": records(table), "left_out": table.attrs["left_out"]})
        return
    for row in table.itertuples():
        print(f"{row.name:<11}{row.rows:>7} rows  {row.description}")
        print(f"{'':<11}origin:  {row.origin}")
        print(f"{'':<11}licence: {row.licence}")
    print("\nNot bundled:")
    for name, reason in table.attrs["left_out"].items():
        print(f"{name:<11}{reason}")


def _model(formula: str, data: pd.DataFrame, arguments: argparse.Namespace) -> LinearMixedModel:
    """Build one model from the shared options."""
    return lmm(
        formula,
        data,
        weights=arguments.weights,
        offset=arguments.offset,
        contrasts=_contrasts(arguments.contrasts),
        missing=arguments.missing,
        residual=arguments.residual,
        variance=arguments.variance,
    )


def _contrasts(pairs: list[str]) -> dict[str, str] | None:
    """Read ``store=sum`` pairs."""
    contrasts: dict[str, str] = {}
    for pair in pairs:
        factor, separator, coding = pair.partition("=")
        if not (separator and factor and coding):
            raise OptionError(
                "`--contrasts` takes pairs of a factor and its coding.",
                got=f"`{pair}`",
                suggestion="`--contrasts store=sum`.",
            )
        contrasts[factor.strip()] = coding.strip()
    return contrasts or None
