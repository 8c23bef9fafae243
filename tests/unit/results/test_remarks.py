"""Sentences beside the numbers, and the warning about the optimizer."""

from __future__ import annotations

import numpy as np
import pytest

import lmmformula as lf
from lmmformula.errors import ConvergenceWarning
from lmmformula.optimize import Optimum, OptimumStatus
from lmmformula.postfit.remarks import convergence_warning, fit_remarks, status_text
from lmmformula.postfit.singular import Singularity

NOT_CONVERGED = [
    status
    for status in OptimumStatus
    if status not in (OptimumStatus.CONVERGED, OptimumStatus.FIXED)
]


@pytest.mark.parametrize("status", OptimumStatus)
def test_every_status_has_words(status):
    assert status_text(status, False)
    assert "_" not in status_text(status, False)
    assert status_text(status, True).endswith(", singular fit")
    assert len(fit_remarks(status, ())) == (status in NOT_CONVERGED)


@pytest.mark.parametrize("status", NOT_CONVERGED)
def test_every_failure_has_a_warning_with_advice(status):
    optimum = Optimum(np.ones(1), 1.0, status, 9, 0.5, -0.25, trace=())
    warning = convergence_warning(optimum)
    assert isinstance(warning, ConvergenceWarning)
    assert warning.status is status
    assert "after 9 evaluations; gradient 5.0e-01, smallest eigenvalue -2.5e-01" in warning.got
    assert warning.suggestion


def test_singular_parameters_are_named():
    found = (Singularity("sd_a|g", "one"), Singularity("sd_b|g", "two"))
    assert fit_remarks(OptimumStatus.CONVERGED, found) == ("Singular fit: one; two.",)


def test_what_was_left_out_weighted_and_offset():
    data = lf.load_dataset("sleepstudy")
    data.loc[2, "Days"] = np.nan
    with pytest.warns(lf.DroppedRowsWarning):
        fit = lf.lmm(
            "Reaction ~ Days + offset(Days) + (1 | Subject)",
            data,
            weights=np.ones(180),
            offset=np.zeros(180),
        ).at([1.0])
    assert fit.data_remarks == (
        "Left out 1 row with missing values.",
        "Prior weights: given as an array.",
        "Offset: Days, given as an array.",
    )
    assert fit.dropped.rows.tolist() == [2]
    assert fit.dropped.columns == ()
