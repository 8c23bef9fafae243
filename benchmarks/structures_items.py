"""Items of ``structures``: seeded data, what is fitted, and how the answers are compared."""

from __future__ import annotations

import gc
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd

import lmmformula as lf
from benchmarks.inference_items import Row, compared

__all__ = ["PROBLEMS", "Problem", "rows_of"]

LIKELIHOOD_LIMIT = 1e-3
"""How far log-likelihoods may differ: the others stop by their own rules, and glmmTMB keeps a small
residual variance where it should have none. Ours must not be the lower one by more than a tenth."""

STANDARD_ERRORS = 1e-3
"""How far fixed effects may differ, in standard errors."""


class R(Protocol):
    """Runs an item in R."""

    def run(self, item: str, repetitions: int, *more: str) -> dict[str, Any] | None:
        """Times and answers, or None."""


@dataclass(frozen=True)
class Problem:
    """Data and model of one item.

    Attributes
    ----------
    label : str
    random : str
        Random terms to add to ``y ~ x + trt``.
    residual, variance : str or None
    n_visits : int
    rho, nugget : float
        Autocorrelation of an AR(1) process of variance one, and variance of the noise beside it.
    exchangeable : float
        Variance that the visits of a subject share.
    ratio : float
        Standard deviation of the noise in the second treatment, relative to the first.
    missing : float
        Share of the visits that are dropped.
    """

    label: str
    random: str = ""
    residual: str | None = None
    variance: str | None = None
    n_visits: int = 10
    rho: float = 0.6
    nugget: float = 0.0
    exchangeable: float = 0.0
    ratio: float = 1.0
    missing: float = 0.0

    def data(self, n_subjects: int = 2000) -> pd.DataFrame:
        """Seeded rows, subject by subject."""
        rng = np.random.default_rng(20)
        shape = (n_subjects, self.n_visits)
        process = np.empty(shape)
        process[:, 0] = rng.standard_normal(n_subjects)
        for visit in range(1, self.n_visits):
            fresh = np.sqrt(1.0 - self.rho**2) * rng.standard_normal(n_subjects)
            process[:, visit] = self.rho * process[:, visit - 1] + fresh
        treated = np.arange(n_subjects) % 2
        noise = np.where(treated, self.ratio, 1.0)[:, None] * rng.standard_normal(shape)
        shared = np.sqrt(self.exchangeable) * rng.standard_normal(n_subjects)[:, None]
        x = rng.standard_normal(shape)
        y = 1.0 + 0.5 * x + 0.3 * treated[:, None] + shared
        y += process + np.sqrt(self.nugget) * noise
        subject, visit = (index.ravel() for index in np.indices(shape))
        frame = pd.DataFrame(
            {
                "y": y.ravel(),
                "x": x.ravel(),
                "trt": pd.Categorical.from_codes(treated[subject], ["a", "b"]),
                "time": visit + 1,
                "visit": pd.Categorical.from_codes(visit, _labels("v", self.n_visits)),
                "g": pd.Categorical.from_codes(subject, _labels("g", n_subjects)),
            }
        )
        kept = rng.random(len(frame)) >= self.missing
        return frame[kept].reset_index(drop=True)

    def fit(self, data: pd.DataFrame) -> lf.LinearMixedResults:
        """Fit, and read what the other packages' calls read."""
        formula = "y ~ x + trt" + (f" + {self.random}" if self.random else "")
        results = lf.lmm(formula, data, residual=self.residual, variance=self.variance).fit()
        _ = results.params, results.bse, results.sigma, results.llf, results.varcorr
        if results.residual_structure is not None:
            results.residual_structure.parameters()
        return results


def _labels(letter: str, n: int) -> list[str]:
    return [f"{letter}{i:04d}" for i in range(1, n + 1)]


_AR1 = Problem("AR(1) residuals, 2,000 subjects, 10 visits", residual="ar1(time | g)")
_BESIDE = Problem(
    "ar1(0 + visit | g) beside a residual, 2,000 subjects, 10 visits",
    random="ar1(0 + visit | g)",
    nugget=0.7,
)

PROBLEMS: dict[str, Problem] = {
    "ar1_residual": _AR1,
    "ar1_residual_gaps": Problem(
        "AR(1) residuals, a tenth of the visits missing", residual=_AR1.residual, missing=0.1
    ),
    "ar1_random": _BESIDE,
    "ar1_random_gaps": Problem(
        "ar1(0 + visit | g) beside a residual, a tenth of the visits missing",
        random=_BESIDE.random,
        nugget=0.7,
        missing=0.1,
    ),
    "cs_residual": Problem(
        "compound symmetric residuals, 2,000 subjects, 10 visits",
        residual="cs(1 | g)",
        exchangeable=0.8,
        rho=0.0,
    ),
    "us_residual": Problem(
        "unstructured residuals, 2,000 subjects, 4 visits",
        residual="us(visit | g)",
        n_visits=4,
        nugget=0.5,
        exchangeable=0.4,
    ),
    "ident_lme": Problem(
        "(1 | g) and a residual variance per treatment, 2,000 subjects, 10 visits",
        random="(1 | g)",
        variance="ident(trt)",
        exchangeable=0.8,
        rho=0.0,
        nugget=1.0,
        ratio=1.8,
    ),
}


def rows_of(name: str, r: R, *, quick: bool) -> list[Row]:
    """Compare and time one problem; one row for each package beside ours."""
    problem = PROBLEMS[name]
    data = problem.data()
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "data.csv"
        data.to_csv(path, index=False, float_format="%.17g")
        answer = r.run(name, 1 if quick else 5, str(path))
    assert answer is not None
    fit = problem.fit(data)
    checked = {other: _compared(fit, theirs) for other, theirs in answer["fits"].items()}
    ours = _timed(problem, data, 3 if quick else 15)
    return [
        compared(
            problem.label,
            ours,
            checked[other],
            other=other,
            theirs=theirs["seconds"],
            target=1.0,
        )
        for other, theirs in answer["fits"].items()
    ]


def _timed(problem: Problem, data: pd.DataFrame, n: int) -> list[float]:
    """Time fits of a new frame each."""
    out = []
    for _ in range(n):
        fresh = data.copy(deep=True)
        gc.collect()
        start = time.perf_counter()
        problem.fit(fresh)
        out.append(time.perf_counter() - start)
    return out


def _compared(fit: lf.LinearMixedResults, theirs: dict[str, Any]) -> str:
    """Likelihoods and fixed effects."""
    gap = fit.llf - theirs["llf"]
    off = float(np.max(np.abs(fit.params - np.array(theirs["fixef"])) / fit.bse))
    right = -0.1 * LIKELIHOOD_LIMIT <= gap <= LIKELIHOOD_LIMIT and off <= STANDARD_ERRORS
    return (
        f"{'ok' if right else 'DIFFERS'}: log-likelihood {gap:+.0e}, "
        f"fixed effects within {off:.0e} standard errors"
    )
