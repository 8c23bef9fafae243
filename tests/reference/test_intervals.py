"""Wald intervals of covariance parameters against nlme's ``intervals``."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import pytest

import lmmformula as lf
from tests.reference.structures.reader import frame

HERE = Path(__file__).parent / "intervals"
RTOL = 1e-4
CORRELATION_ATOL = 1e-4
"""nlme's own optimum is good to about 1e-5, its limits then to 1e-4."""


@cache
def stored():
    """Return all fits by name."""
    return json.loads((HERE / "intervals.json").read_text())["fits"]


@pytest.mark.parametrize("name", stored())
def test_intervals(name):
    ref = stored()[name]
    options = {part: ref[part] for part in ("residual", "variance") if ref.get(part)}
    ours = lf.lmm(ref["formula"], frame(ref["dataset"]), **options).fit(reml=ref["reml"])
    table = ours.covariance_parameters()
    assert set(table.index) == set(ref["intervals"])
    for parameter, expected in ref["intervals"].items():
        found = table.loc[parameter, ["lower", "estimate", "upper"]].tolist()
        is_signed = parameter.startswith(("cor", "rho", "power", "expon"))
        limit = {"abs": CORRELATION_ATOL, "rel": 0.0} if is_signed else {"rel": RTOL}
        assert found == pytest.approx(expected, **limit)
