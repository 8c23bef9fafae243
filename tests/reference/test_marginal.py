"""Marginal means and Tukey contrasts of every stored model are emmeans'."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

from lmmformula.errors import (
    DroppedRowsWarning,
    InferenceWarning,
    RankWarning,
    SingularFitWarning,
)
from lmmformula.inference.marginal.reference_grid import grid_levels
from tests.reference.reader import MODEL_IDS, Reference, fit, reference
from tests.tolerances import ESTIMATE_RTOL

METHODS = {"emmeans_satterthwaite": "satterthwaite", "emmeans_kenward_roger": "kenward-roger"}
CASES = [(i, block) for i in MODEL_IDS for block in METHODS if reference(i).fields.get(block)]

DF_RTOL = {"satterthwaite": 5e-6, "kenward-roger": 1e-6}
"""R differentiates numerically for Satterthwaite's degrees of freedom. Largest gap seen: 1.3e-6."""

LIMIT_RTOL = 5e-6
"""They depend on the standard errors, which depend on the end point to first order."""

TUKEY_P_ATOL = 1e-7
"""``ptukey`` itself has six to seven digits."""

ROUNDED_DF_ATOL = 5e-5
"""Where a contrast is missing, emmeans rounds the degrees of freedom for ``ptukey``."""

P_RTOL = 5e-4
"""Of tail probabilities down to 1e-80, which magnify the last digits of t and df."""

IGNORED = (DroppedRowsWarning, InferenceWarning, RankWarning, SingularFitWarning)


def load(case: tuple[str, str]) -> tuple[Any, Reference, dict[str, Any], str]:
    with warnings.catch_warnings():
        for category in IGNORED:
            warnings.simplefilter("ignore", category)
        model_id, block = case
        ref = reference(model_id)
        return fit(model_id), ref, ref.fields[block], METHODS[block]


def assert_same(ours: Any, theirs: list[Any], rtol: float, what: str, atol: float = 0.0) -> None:
    """Compare in units of the column's largest magnitude; null is NaN."""
    expected = np.array([np.nan if x is None else x for x in theirs], dtype=float)
    known = ~np.isnan(expected)
    np.testing.assert_array_equal(np.isnan(np.asarray(ours, float)), ~known, err_msg=what)
    scale = float(np.abs(expected[known]).max(initial=0.0))
    np.testing.assert_allclose(
        np.asarray(ours, float)[known],
        expected[known],
        rtol=0,
        atol=rtol * scale + atol,
        err_msg=what,
    )


@pytest.mark.filterwarnings("ignore::lmmformula.errors.InferenceWarning")
@pytest.mark.parametrize("case", CASES, ids=lambda case: "-".join(case))
def test_means_and_pairs(case):
    ours, _, block, ddf = load(case)
    for name, margin in block["margins"].items():
        means = ours.marginal_means(margin["factors"], ddf=ddf)
        frame, tests = means.to_frame(), means.test()
        labels = [":".join(map(str, row)) for row in frame[margin["factors"]].to_numpy()]
        assert labels == margin["levels"]
        assert_same(frame["mean"], margin["mean"], ESTIMATE_RTOL, name)
        assert_same(frame["se"], margin["se"], ESTIMATE_RTOL, name)
        assert_same(frame["df"], margin["df"], DF_RTOL[ddf], name)
        assert_same(frame["lower"], margin["lower"], ESTIMATE_RTOL, name)
        assert_same(frame["upper"], margin["upper"], ESTIMATE_RTOL, name)
        assert_same(tests["statistic"], margin["t"], ESTIMATE_RTOL, name)
        assert_same(tests["pvalue"], margin["p"], P_RTOL, name)
        if margin.get("pairs"):
            check_pairs(means.contrasts("pairwise"), margin["pairs"], DF_RTOL[ddf])


def check_pairs(contrasts: Any, pairs: dict[str, Any], df_rtol: float) -> None:
    frame = contrasts.to_frame()
    assert list(frame["contrast"]) == pairs["contrast"]
    assert_same(frame["estimate"], pairs["estimate"], ESTIMATE_RTOL, "estimate")
    assert_same(frame["se"], pairs["se"], ESTIMATE_RTOL, "se")
    assert_same(frame["df"], pairs["df"], df_rtol, "df")
    assert_same(frame["lower"], pairs["lower"], LIMIT_RTOL, "lower")
    assert_same(frame["upper"], pairs["upper"], LIMIT_RTOL, "upper")
    assert_same(frame["statistic"], pairs["t"], ESTIMATE_RTOL, "t")
    assert_same(frame["pvalue"], pairs["p"], LIMIT_RTOL, "p", tukey_p_atol(pairs))


def tukey_p_atol(pairs: dict[str, Any]) -> float:
    return ROUNDED_DF_ATOL if None in pairs["p"] else TUKEY_P_ATOL


def test_reference_grids():
    """Numeric variables sit where emmeans puts them."""
    for case in CASES:
        ours, _, block, _ = load(case)
        levels = grid_levels(ours.design.spec, None)
        assert list(levels) == list(block["grid"])
        for name, values in block["grid"].items():
            if isinstance(values[0], str):
                assert list(levels[name]) == values
            else:
                np.testing.assert_allclose(levels[name], values, rtol=1e-12, atol=1e-12)
