"""What our fit and a stored one must agree on, whatever the structure is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lmmformula import LinearMixedResults
from tests.reference.structures import reader
from tests.tolerances import CRITERION_ATOL, THETA_RTOL


def same_likelihood(ours: LinearMixedResults, ref: dict[str, Any]) -> None:
    """Rows and log-likelihood."""
    assert ours.nobs == ref["n"]
    assert ours.llf == pytest.approx(ref["logLik"], abs=CRITERION_ATOL)


def same_fixed_effects(ours: LinearMixedResults, ref: dict[str, Any]) -> None:
    """Names, estimates (in their own size or in standard errors) and standard errors."""
    assert list(ours.params.index) == reader.fixed_names(ref)
    fixef, se = (np.array(list(ref[name].values())) for name in ("fixef", "se"))
    assert ours.params.to_numpy() == pytest.approx(fixef, abs=THETA_RTOL * se.min(), rel=THETA_RTOL)
    assert ours.bse.to_numpy() == pytest.approx(se, rel=THETA_RTOL)
