"""Cluster-robust covariances, degrees of freedom and joint tests against clubSandwich."""

from __future__ import annotations

import json

import numpy as np
import pytest

import lmmformula as lf
from tests.reference import reader
from tests.tolerances import assert_close

STORED = json.loads((reader.HERE / "cluster_robust" / "cluster_robust.json").read_text())
MODELS = tuple(key for key in STORED if key != "versions")

RTOL = 1e-9
"""At R's own theta everything is arithmetic. Largest gap seen: 4e-13."""


@pytest.fixture(params=MODELS, scope="module")
def stored(request):
    fields = STORED[request.param]
    data = reader.frame(fields["dataset"]).dropna()
    model = lf.lmm(fields["formula"], data, weights=fields.get("weights"))
    fit = model.at(np.atleast_1d(fields["theta"]), reml=fields["reml"])
    cluster = fields["cluster"]
    if cluster not in fit.ngroups:
        cluster = data[cluster]
    return fit, cluster, fields


@pytest.mark.parametrize("kind", ["CR0", "CR1", "CR2"])
def test_single_coefficients(stored, kind):
    fit, cluster, fields = stored
    expected = fields[kind]
    assert_close(fit.cov_params(kind, cluster), np.atleast_2d(expected["vcov"]), RTOL)
    frame = fit.coefficient_frame(robust=kind, cluster=cluster)
    assert_close(frame["df"], np.atleast_1d(expected["df"]), RTOL)
    assert_close(frame["pvalue"], np.atleast_1d(expected["pvalue"]), 1e-8)


@pytest.mark.parametrize("kind", ["CR0", "CR1", "CR2"])
def test_joint(stored, kind):
    fit, cluster, fields = stored
    rows = np.atleast_2d(np.array(fields["contrast"], dtype=float))
    joint = fields[kind]["joint"]
    test = fit.f_test(rows, robust=kind, cluster=cluster)
    assert_close([float(test.fvalue)], [joint["F"]], RTOL)
    assert_close([float(test.df_denom)], [joint["den_df"]], RTOL)
    assert test.df_num == joint["num_df"]
