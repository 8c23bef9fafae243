"""Exact (restricted) likelihood-ratio tests against RLRsim, within Monte Carlo error."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import lmmformula as lf
from tests.reference import reader

HERE = Path(__file__).parent
STORED = json.loads((HERE / "rlrt" / "rlrt.json").read_text(encoding="utf-8"))
VARCOMP = json.loads((HERE / "varcomp_tests.json").read_text(encoding="utf-8"))["tests"]
DRAWS = 40_000


def _half(start: int):
    return lf.load_dataset("dyestuff").iloc[start::2]


def _weak():
    data = lf.load_dataset("sleepstudy")
    return data[data["Days"] <= 2]


CASES = {
    "dyestuff_half_0": ("Yield ~ 1 + (1 | Batch)", lambda: _half(0), None),
    "dyestuff_half_2": ("Yield ~ 1 + (1 | Batch)", lambda: _half(2), None),
    "dyestuff": ("Yield ~ 1 + (1 | Batch)", lambda: lf.load_dataset("dyestuff"), None),
    "sleepstudy_weak_slope": (
        "Reaction ~ Days + (Days || Subject)",
        _weak,
        "sd_Days|Subject",
    ),
    "pastes_batch": (
        "strength ~ 1 + (1 | batch) + (1 | sample)",
        lambda: lf.load_dataset("pastes"),
        "sd_Intercept|batch",
    ),
}


@pytest.mark.parametrize("test_id", STORED["tests"])
def test_rlrsim(test_id):
    name, _, criterion = test_id.rpartition("_")
    formula, data, component = CASES[name]
    fit = lf.lmer(formula, data(), reml=criterion == "reml")
    test = lf.exact_rlrt(fit, component, n=DRAWS, seed=1)
    stored = STORED["tests"][test_id]
    assert test.statistic == pytest.approx(stored["statistic"], abs=1e-5)
    p = stored["p"]
    error = np.sqrt(p * (1 - p) * (1 / DRAWS + 1 / STORED["nsim"]))
    # RLRsim looks for the supremum on a grid only, which lowers its draws by a little.
    assert test.pvalue == pytest.approx(p, abs=4 * error + 0.005 * p)


TERMS = {
    "no random effect": [],
    "(1 | Subject)": ["(1 | Subject)"],
    "(0 + Days | Subject)": ["(0 + Days | Subject)"],
    "(Days || Subject)": ["(Days || Subject)"],
    "(Days | Subject)": ["(Days | Subject)"],
}
COMPONENT = {"(1 | Subject)": "sd_Days|Subject", "(0 + Days | Subject)": "sd_Intercept|Subject"}


@pytest.mark.parametrize("test_id", [name for name, test in VARCOMP.items() if "rlrsim" in test])
def test_sleepstudy(test_id):
    stored = VARCOMP[test_id]
    formula = " + ".join(["Reaction ~ Days", *TERMS[stored["h1"]]])
    fit = lf.lmer(formula, reader.frame("sleepstudy"), reml=stored["reml"])
    test = lf.exact_rlrt(fit, COMPONENT.get(stored["h0"]), n=5000, seed=1)
    assert test.statistic == pytest.approx(stored["rlrsim"]["statistic"], abs=1e-5)
    assert test.pvalue == pytest.approx(stored["rlrsim"]["p"], abs=1e-3)


@pytest.mark.parametrize("test_id", ["correlation_ml", "correlation_reml"])
def test_bootstrap_of_a_regular_parameter(test_id):
    """Inside the parameter space the chi-square distribution is about right."""
    stored = VARCOMP[test_id]
    small, large = (
        lf.lmer(f"Reaction ~ Days + {stored[h]}", reader.frame("sleepstudy"), stored["reml"])
        for h in ("h0", "h1")
    )
    test = lf.bootstrap_lrt(small, large, 500, seed=1, refit=False)
    assert test.statistic == pytest.approx(stored["LRT"], abs=1e-5)
    assert test.pvalue == pytest.approx(stored["p_chisq1"], abs=0.08)
