"""Profile intervals beside lme4's ``confint(method = "profile")``.

R follows each profile in steps and interpolates by a spline; we solve for the ends. So
``ci_profile`` carries R's interpolation error, about 1e-4 of an interval's width, and
``ci_profile_fine`` (smaller steps) much less of it. The widest gap to the first is 4e-4
(a fixed effect of ``rankdef_alias_reml``), to the second 4e-6.

Left out: rows for which R itself reported trouble (``ci_profile_suspect``), and the correlations of
the two Machines models with three correlated effects. There R's ends miss the quantile by up to one
unit of zeta, which R's own deviance function shows: ``profile/exact.R`` minimizes it with the
correlation held exactly, and ``profile/exact.json`` has the roots.
"""

from __future__ import annotations

import json
import math
import warnings
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest

from lmmformula.errors import DroppedRowsWarning, RankWarning, SingularFitWarning
from tests.reference.reader import HERE, MODEL_IDS, Reference, fit, reference

WIDTH_RTOL = 5e-4
"""Of the interval's width, as R interpolates."""

FINE_RTOL = 1e-5
"""Where R's steps are finer, and where its figures are roots; largest gap seen 4e-6."""

EXACT_RTOL = 1e-7
"""Roots of R's own deviance function (uniroot to 1e-7); largest gap seen 3e-8."""

PROFILED = [name for name in MODEL_IDS if hasattr(reference(name), "ci_profile")]
TWINS = {name for name in PROFILED if name.replace("_reml", "_ml") in set(PROFILED) - {name}}
"""REML fits whose ML twin is here as well: their profiles are the same."""
PARAMETERS = [
    pytest.param(name, marks=pytest.mark.slow) if name in TWINS else name for name in PROFILED
]
EXACT = json.loads((HERE / "profile" / "exact.json").read_text())
QUANTILE = 1.959963984540054


@dataclass(frozen=True)
class Row:
    """R's interval of one parameter, and how exact it is."""

    lower: float
    upper: float
    tolerance: float


def is_inexact(model_id: str, r_name: str) -> bool:
    """Whether R's interpolation fails although it reports nothing."""
    return model_id.rpartition("_")[0] in EXACT and r_name.startswith("cor_")


def rows(model_id: str, names: list[str]) -> dict[str, Row]:
    """Return R's intervals under our names; finer figures replace coarser ones."""
    ref, found = reference(model_id), {}
    r_names = ref.ci_profile["rows"]
    assert len(r_names) == len(names)
    ours = dict(zip(r_names, names, strict=True))
    fields = {"ci_profile": WIDTH_RTOL, "ci_profile_fine": FINE_RTOL, "ci_profile_exact": FINE_RTOL}
    for field, tolerance in fields.items():
        table = getattr(ref, field, {"rows": [], "lower": [], "upper": []})
        for name, lower, upper in zip(*(table[c] for c in ("rows", "lower", "upper")), strict=True):
            is_suspect = name in ref.ci_profile_suspect and field != "ci_profile_exact"
            if not is_suspect and not is_inexact(model_id, name):
                found[ours[name]] = Row(lower or 0.0, upper, tolerance)
    for name, (lower, upper) in EXACT.get(model_id.rpartition("_")[0], {}).items():
        found[ours[name]] = Row(lower, upper, EXACT_RTOL)
    return found


@pytest.fixture(scope="module", params=PARAMETERS)
def pair(request: pytest.FixtureRequest) -> tuple[str, pd.DataFrame]:
    """Return a model and our intervals, computed once."""
    with warnings.catch_warnings():
        for category in (DroppedRowsWarning, RankWarning, SingularFitWarning):
            warnings.simplefilter("ignore", category)
        results = fit(request.param)
    return request.param, results.profile().limits()


def expected_names(ref: Reference) -> list[str]:
    """Return names in lme4's order, in our spelling."""
    names = []
    for term in ref.varcorr:
        effects = ref.effect_names(term["names"])
        # independent effects were split into terms of their own
        for j, effect in enumerate(effects):
            names.append(f"sd_{effect}|{term['group']}")
            names += [f"cor_{later}.{effect}|{term['group']}" for later in effects[j + 1 :]]
    return [*names, "sigma", *ref.fixed_names]


def test_names_and_order(pair):
    model_id, limits = pair
    assert list(limits.index) == expected_names(reference(model_id))


def test_intervals(pair):
    model_id, limits = pair
    found = rows(model_id, list(limits.index))
    assert found
    for name, row in found.items():
        ours = limits.loc[name, ["lower", "upper"]].to_numpy(float)
        gap = np.abs(ours - [row.lower, row.upper]).max() / (row.upper - row.lower)
        assert gap <= row.tolerance, f"{name}: {gap:.1e} of the width; {ours}, {row}"


def test_zeta_at_the_ends(pair):
    _, limits = pair
    for side, sign in (("lower", -1.0), ("upper", 1.0)):
        zeta, is_open = sign * limits[f"zeta_{side}"], limits[f"open_{side}"]
        assert np.all(np.abs(zeta[~is_open] - QUANTILE) <= 1e-4)
        assert np.all(zeta[is_open] < QUANTILE)
        at_end = limits.loc[is_open, side].abs()
        assert np.all(at_end.isin([0.0, 1.0]))
        assert all(name.startswith(("sd_", "cor_")) for name in at_end.index)


def test_open_ends_are_lme4s(pair):
    """A standard deviation is open where R's lower end is zero."""
    model_id, limits = pair
    for name, row in rows(model_id, list(limits.index)).items():
        if name.startswith("sd_"):
            assert bool(limits.loc[name, "open_lower"]) == math.isclose(row.lower, 0.0)
