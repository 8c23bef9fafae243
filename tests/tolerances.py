"""Every tolerance of the test suite, each with its reason.

Criterion values are compared absolutely (differences are likelihood-ratio units); everything
else relative to the largest magnitude of the compared array, because a single entry near zero
(a correlation of 1e-4, the effect of one level) carries no relative accuracy of its own.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

CRITERION_ATOL = 1e-6
"""At the optimum: the references were polished to a gradient of about 1e-7."""

CRITERION_RTOL = 1e-10
"""Added per unit of |f|: InstEval's criterion is 2.4e5 and R prints 15 digits of it."""

EVALUATION_RTOL = 1e-10
"""At a fixed theta the objective is arithmetic; two exact methods differ by rounding only."""

ESTIMATE_RTOL = 1e-6
"""Fixed effects, sigma, fitted values, predictions, intervals: they hardly depend on where in the
flat bottom of the criterion either optimizer stopped. Largest gap seen: 3e-8."""

THETA_RTOL = 5e-6
"""Theta, variance components, random effects, standard errors and covariance of the fixed effects:
they depend on the end point to first order. A criterion within 1e-10 of the minimum (InstEval's has
twelve digits) leaves about 1e-6. Largest gap seen: 2e-6."""

SCALE_RTOL = 1e-8
"""The same model in other units: only rounding may differ."""


def relative_gap(ours: ArrayLike, reference: ArrayLike) -> float:
    """Return the largest difference in units of the largest reference magnitude."""
    ours, reference = np.asarray(ours, float), np.asarray(reference, float)
    assert ours.shape == reference.shape, f"shape {ours.shape}, expected {reference.shape}"
    if not reference.size:
        return 0.0
    scale = float(np.max(np.abs(reference)))
    return float(np.max(np.abs(ours - reference))) / (scale or 1.0)


def assert_close(ours: ArrayLike, reference: ArrayLike, rtol: float, what: str = "") -> None:
    """Fail with the gap and the worst entry when two arrays differ by more than ``rtol``."""
    gap = relative_gap(ours, reference)
    assert gap <= rtol, f"{what}: relative gap {gap:.2e} > {rtol:.0e}\n{ours}\n{reference}"


def criterion_limit(reference: float) -> float:
    """Return how far a criterion may lie from the reference's."""
    return CRITERION_ATOL + CRITERION_RTOL * abs(reference)


DF_RTOL = 1e-5
"""Satterthwaite's degrees of freedom, F and their tables: lmerTest differentiates numerically
(Richardson extrapolation; it is sure of about six digits). Largest gap seen: 2e-6 (TIMSS, two
slopes)."""

ADJUSTED_RTOL = 1e-6
"""Kenward-Roger: closed forms on both sides, at optima that differ as ``THETA_RTOL`` says."""

HYPOTHESIS_RTOL = 1e-5
"""F of type II and III: lmerTest rounds the coefficients of its hypotheses to seven digits
(``zapsmall``). Largest gap seen: 4e-7."""

JMP_RTOL = 1e-7
"""JMP agrees with the exact optimum; ten digits are stored."""

SAS_RTOL = 1e-6
"""SAS stops at a relative change of its criterion of 1e-8."""

SAS_EARLY_STOP_RTOL = 2e-4
"""SAS stopped earlier in the strip plot and in the quadratic models of the sleep study."""

EXPECTED_INFORMATION_RTOL = 1e-5
"""Kenward-Roger tables that lmerTest gave at plain ``lmer()``'s optimum, which is that far off."""
