"""Power by simulation against lme4 and lmerTest, both within Monte Carlo error."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import lmmformula as lf

STORED = json.loads((Path(__file__).parent / "power" / "power.json").read_text("utf-8"))
N_SIM = 1000


def check(found, stored):
    """Two simulated shares, four standard deviations of their difference."""
    share = (stored["rejected"] + found.power * found.n_sim) / (stored["n"] + found.n_sim)
    error = np.sqrt(share * (1 - share) * (1 / stored["n"] + 1 / found.n_sim))
    assert abs(found.power - stored["rejected"] / stored["n"]) < 4 * error


@pytest.fixture(scope="module")
def full():
    return lf.lmer("Reaction ~ Days + (Days | Subject)", lf.load_dataset("sleepstudy"))


@pytest.mark.parametrize("test", ["satterthwaite", "lrt"])
def test_fewer_subjects(full, test):
    stored = STORED["smaller"]
    options = {"levels": {"Subject": stored["levels"]}, "effect": stored["effect"], "test": test}
    check(lf.power(full, "Days", N_SIM, seed=1, **options), stored[test])


@pytest.mark.parametrize("test", ["satterthwaite", "lrt"])
def test_more_subjects_with_unequal_rows(full, test):
    """The parameters of the whole data in a design made of incomplete subjects."""
    stored = STORED["unbalanced"]
    rows = lf.load_dataset("sleepstudy").iloc[np.array(STORED["rows"]) - 1]
    study = lf.plan(
        full.formula, rows, fixed=full.params.to_dict(), sigma=full.sigma,
        varcorr=full.varcorr.parameters().drop("sigma").to_dict(),
    )  # fmt: skip
    options = {"levels": {"Subject": stored["levels"]}, "effect": stored["effect"], "test": test}
    check(lf.power(study, "Days", N_SIM, seed=1, **options), stored[test])


def test_a_random_slope(full):
    stored = STORED["random"]
    varcorr = {"sd_Days|Subject": stored["sd_days"]}
    found = lf.power(full, "Days in (Days | Subject)", N_SIM, seed=1, varcorr=varcorr)
    check(found, stored["lrt"])
