"""Likelihood-ratio tables of nested sets, against R's anova()."""

from __future__ import annotations

import json
import math
import warnings

import pytest

import lmmformula as lf
from lmmformula.errors import LMMWarning
from tests.reference.reader import HERE, fit
from tests.tolerances import assert_close, criterion_limit

TABLES = json.loads((HERE / "anova.json").read_text())["tables"]


@pytest.mark.parametrize("name", TABLES)
def test_likelihood_ratio_table(name):
    stored = TABLES[name]
    expected = stored["table"]["columns"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LMMWarning)  # comparing singular fits is the point of some
        table = lf.anova(*(fit(model) for model in stored["models"]), refit=stored["refit_ml"])
    assert list(table.columns) == ["npar", "aic", "bic", "llf", "deviance", "chisq", "df", "pvalue"]
    assert list(table["npar"]) == expected["npar"]
    limit = 2.0 * criterion_limit(max(abs(value) for value in expected["deviance"]))
    for ours, theirs in [
        ("aic", "AIC"),
        ("bic", "BIC"),
        ("llf", "logLik"),
        ("deviance", "deviance"),
    ]:
        assert list(table[ours]) == pytest.approx(expected[theirs], abs=limit)
    for row, theirs in enumerate(
        zip(expected["Chisq"], expected["Df"], expected["p"], strict=True)
    ):
        chisq, df, p = theirs
        ours = table.iloc[row]
        if df is None:
            assert math.isnan(ours["chisq"])
            assert math.isnan(ours["pvalue"])
            continue
        assert ours["chisq"] == pytest.approx(chisq, abs=2 * limit)
        assert ours["df"] == df
        if p is not None and p > 1e-300:
            # log p moves by about chisq / 2 per unit: the criterion's tolerance, and rounding.
            assert_close([math.log(ours["pvalue"])], [math.log(p)], 1e-6 + limit, "log p")
