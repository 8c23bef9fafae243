"""Animal models against pedigreemm and lme4 (``relationship/make.R``)."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import lmmformula as lf
from tests.tolerances import ESTIMATE_RTOL, THETA_RTOL, assert_close, criterion_limit

HERE = Path(__file__).parent / "relationship"
STORED = json.loads((HERE / "relationship.json").read_text())


@pytest.fixture(scope="module")
def pedigree():
    return pd.read_csv(HERE / "data" / "pedigree.csv", dtype=str)


@pytest.fixture(scope="module")
def records():
    return pd.read_csv(HERE / "data" / "records.csv")


@pytest.fixture(scope="module")
def relationship(pedigree):
    return lf.pedigree_relationship(pedigree["id"], pedigree["sire"], pedigree["dam"])


def test_relationship_of_the_pedigree(relationship):
    labels = STORED["labels"]
    ours = relationship.loc[labels, labels].to_numpy()
    np.testing.assert_allclose(ours, STORED["A"], rtol=0.0, atol=1e-12)
    np.testing.assert_allclose(np.diag(ours) - 1.0, STORED["inbreeding"], rtol=0.0, atol=1e-12)


@pytest.fixture(scope="module", params=STORED["models"])
def pair(request, records, relationship):
    theirs = STORED["models"][request.param]
    weights = "w" if theirs["weights"] else None
    ours = lf.lmer(
        theirs["formula"],
        records,
        theirs["reml"],
        weights=weights,
        relationship={"animal": relationship},
    )
    return ours, theirs


def test_criterion_and_estimates(pair):
    ours, theirs = pair
    assert ours.converged
    assert ours.objective == pytest.approx(
        theirs["criterion"], abs=criterion_limit(theirs["criterion"])
    )
    assert_close(ours.theta, np.atleast_1d(theirs["theta"]), THETA_RTOL, "theta")
    assert ours.sigma == pytest.approx(theirs["sigma"], rel=ESTIMATE_RTOL)
    assert_close(ours.params, theirs["fixef"], ESTIMATE_RTOL, "fixed effects")
    assert_close(ours.cov_params(), theirs["vcov"], THETA_RTOL, "covariance")


def test_modes(pair):
    ours, theirs = pair
    modes = ours.random_effects["animal"].loc[theirs["members"]]
    assert_close(modes, theirs["modes"], THETA_RTOL, "modes")


def test_pedigreemm(records, relationship):
    theirs = STORED["pedigreemm_fit"]
    ours = lf.lmer(
        "y ~ x + (1 | animal) + (1 | herd)", records, relationship={"animal": relationship}
    )
    assert ours.objective == pytest.approx(theirs["criterion"], abs=1e-6)
    found = ours.varcorr.to_frame().set_index("grp")["vcov"]
    for row in theirs["variances"]:
        # Its Nelder-Mead stops within 1e-5 of the optimum.
        assert found[row["grp"]] == pytest.approx(row["vcov"], rel=1e-5)
