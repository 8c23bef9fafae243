"""Likelihood-ratio tests of nested models by parametric bootstrap."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from lmmformula._arrays import FloatArray
from lmmformula.design.notify import notify
from lmmformula.engine import replace_response
from lmmformula.errors import ConvergenceWarning, LMMError, NumericalError, OptionError
from lmmformula.inference.bootstrap.fits import Failure, ModelFitter, failure_warning
from lmmformula.inference.bootstrap.kinds import ParametricBlocks
from lmmformula.inference.bootstrap.run import Blocks, check_count, run_blocks, seed_sequence
from lmmformula.inference.comparison.comparability import check_criteria, check_same_data
from lmmformula.inference.comparison.nesting import check_nested
from lmmformula.optimize import minimize
from lmmformula.postfit.progress import Progress
from lmmformula.postfit.requirements import EXACT, require_exact_engine

__all__ = ["BootstrapLRT", "bootstrap_lrt"]

CALL = "lf.bootstrap_lrt(small, large, 1000, seed=1)"
NOISE = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class BootstrapLRT:
    """A likelihood-ratio test with its bootstrap distribution.

    Attributes
    ----------
    statistic : float
        Twice the difference of the log-likelihoods, not below zero.
    pvalue : float
        (1 + replicates at least as large) / (1 + replicates that were fitted).
    n_failed : int
        Replicates in which one of the models could not be fitted.
    replicates : ndarray, shape (n,)
        Statistic of every replicate under the smaller model; NaN where it failed.
    failures : tuple of Failure
    df : int
        Difference in the number of parameters.
    criterion : str
        "ML" or "REML".
    """

    statistic: float
    pvalue: float
    n_failed: int
    replicates: FloatArray
    failures: tuple[Failure, ...]
    df: int
    criterion: str

    def __repr__(self) -> str:
        return (
            f"BootstrapLRT(statistic={self.statistic:.4f}, pvalue={self.pvalue:.4g}, "
            f"{len(self.replicates)} replicates by {self.criterion}, {self.n_failed} failed)"
        )


def bootstrap_lrt(
    small: Any,
    large: Any,
    n: int,
    seed: Any,
    *,
    refit: bool = True,
    progress: Progress = None,
    n_jobs: int = 1,
    executor: Any = None,
) -> BootstrapLRT:
    """Test a model against a larger one by simulating from the smaller.

    Valid where the chi-square distribution is not: variances at the boundary, few groups, fixed
    effects in small samples.

    Parameters
    ----------
    small, large : LinearMixedResults
        Fits of nested models to the same rows.
    n : int
        Number of replicates.
    seed : int, SeedSequence or Generator
        Source of randomness.
    refit : bool, default True
        Compare maximum likelihood fits. With False two REML fits with the same fixed effects are
        compared by their REML criteria, which tests variances better.
    progress, n_jobs, executor
        As for ``results.bootstrap``.

    Returns
    -------
    BootstrapLRT
        ``statistic, pvalue, n_failed, replicates``.

    Raises
    ------
    OptionError
        The models are not nested, or their criteria do not compare.
    DataError
        The models have different rows, responses or weights.

    Warns
    -----
    ConvergenceWarning
        The larger model has the lower likelihood (the statistic is set to zero), or replicates
        failed.

    Examples
    --------
    >>> import lmmformula as lf
    >>> data = lf.load_dataset("sleepstudy")
    >>> small = lf.lmer("Reaction ~ Days + (Days || Subject)", data)
    >>> large = lf.lmer("Reaction ~ Days + (Days | Subject)", data)
    >>> test = lf.bootstrap_lrt(small, large, 100, seed=1)
    >>> round(test.statistic, 4), test.n_failed
    (0.0639, 0)
    """
    n, root = check_count(n, CALL), seed_sequence(seed, CALL)
    small, large = _comparable(small, large, refit)
    statistic = _truncated(small.objective - large.objective, small, large)
    blocks = _Pairs(small, large)
    parts = run_blocks(blocks, n, root, progress=progress, n_jobs=n_jobs, executor=executor)
    replicates = np.concatenate([part for part, _ in parts])
    failures, start = [], 0
    for part, failed in parts:
        failures += [Failure(start + f.replicate, f.reason) for f in failed]
        start += len(part)
    done = replicates[np.isfinite(replicates)]
    if not len(done):
        raise NumericalError(
            f"none of the {n} bootstrap replicates could be fitted.",
            got=failures[0].reason,
            suggestion="a simpler larger model",
            n_failed=n,
        )
    if failures:
        notify(failure_warning(failures, n))
    return BootstrapLRT(
        statistic=statistic,
        pvalue=float((1 + np.sum(done >= statistic - NOISE)) / (1 + len(done))),
        n_failed=n - len(done),
        replicates=replicates,
        failures=tuple(failures),
        df=int(large.npar - small.npar),
        criterion=small.criterion,
    )


def _comparable(small: Any, large: Any, refit: bool) -> tuple[Any, Any]:
    """Both fits by one criterion, once it is clear that they may be compared."""
    for fit in (small, large):
        if not hasattr(fit, "refit_ml"):
            raise OptionError(
                "`bootstrap_lrt` compares two fitted linear mixed models.",
                got=f"an object of type `{type(fit).__name__}`",
                suggestion=f"`{CALL}`",
            )
        fit.model.require_rows("`bootstrap_lrt`")
        require_exact_engine(fit.any_system, "`bootstrap_lrt`", EXACT)
    labels = (small.formula, large.formula)
    check_same_data([small, large], labels)
    check_nested(small.design.matrices, large.design.matrices, labels)
    if refit:
        return small.refit_ml(), large.refit_ml()
    check_criteria([small, large], labels)
    return small, large


def _truncated(statistic: float, small: Any, large: Any) -> float:
    if statistic < -NOISE * (1.0 + abs(large.objective) * 1e-6):
        notify(
            ConvergenceWarning(
                f"`{large.formula}` contains `{small.formula}` but has a lower likelihood; the "
                "statistic is set to zero.",
                got=f"twice the difference of the log-likelihoods is {statistic:.6g}",
                suggestion="fit the larger model from another `start`; look at `optimum` of both",
                models=(small.formula, large.formula),
            )
        )
    return max(float(statistic), 0.0)


class _Pairs(Blocks):
    """Both models fitted to the same responses, drawn from the smaller one."""

    def __init__(self, small: Any, large: Any) -> None:
        self.small, self.large = (
            ModelFitter(
                fit.system, fit.design.matrices, fit.estimates.theta, fit.criterion == "REML"
            )
            for fit in (small, large)
        )
        self.draws = ParametricBlocks(self.small, small.design, small.estimates)

    @property
    def size(self) -> int:
        """What both models take at once."""
        return min(self.small.n_rows_at_once, self.large.n_rows_at_once)

    def run(self, n: int, seed: np.random.SeedSequence) -> tuple[FloatArray, tuple[Failure, ...]]:
        """Statistics of one block."""
        responses = self.draws.responses(n, seed)
        small = self.small.fit_responses(responses)
        large = self.large.fit_responses(responses)
        statistic = small.objective - large.objective
        for index in np.flatnonzero(statistic < -NOISE).tolist():
            better = self._second_start(np.ascontiguousarray(responses[:, index]))
            statistic[index] = small.objective[index] - min(large.objective[index], better)
        failed = {failure.replicate: failure for failure in (*small.failures, *large.failures)}
        return np.maximum(statistic, 0.0), tuple(failed[index] for index in sorted(failed))

    def _second_start(self, response: FloatArray) -> float:
        """Criterion of the larger model from moments: the first start led to a worse optimum."""
        fitter = self.large
        system = replace_response(fitter.system, fitter.matrices, response)
        try:
            optimum, _ = minimize(system, fitter.reml)
        except (LMMError, ArithmeticError):
            return np.inf
        return optimum.objective
