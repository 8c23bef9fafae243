"""P-values of simulated studies, block by block."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import special

from lmmformula._arrays import FloatArray
from lmmformula.engine import Objective
from lmmformula.errors import LMMError, OptionError
from lmmformula.inference.bootstrap.fits import Failure
from lmmformula.inference.bootstrap.kinds import ParametricBlocks
from lmmformula.inference.bootstrap.run import Blocks
from lmmformula.inference.comparison.boundary import Boundary, Fitted, null_for
from lmmformula.inference.effects.df import DF_METHODS
from lmmformula.inference.effects.wald import f_p_value
from lmmformula.planning.hypotheses import FixedHypothesis, Hypothesis, RandomHypothesis
from lmmformula.planning.refits import (
    MixedCriterion,
    Refit,
    criterion_of,
    refits_of_responses,
    refits_of_stack,
)
from lmmformula.planning.truth import Truth

__all__ = ["ApproximateTests", "LikelihoodRatioTests", "Replicates", "blocks_for"]

NOISE = 1e-6
LARGEST_BLOCK = 50
"""Replicates between two steps of a progress bar, at most."""


@dataclass(frozen=True, slots=True, eq=False)
class Replicates:
    """P-values of one block.

    Attributes
    ----------
    pvalues : ndarray, shape (n,)
        NaN where the model could not be fitted or tested.
    failures : tuple of Failure
    """

    pvalues: FloatArray
    failures: tuple[Failure, ...]


class ApproximateTests(Blocks):
    """F tests of fixed effects by a method of ``DF_METHODS``.

    Parameters
    ----------
    truth : Truth
        What responses are drawn from.
    hypothesis : FixedHypothesis
    method : str
        A key of ``DF_METHODS``.
    """

    def __init__(self, truth: Truth, hypothesis: FixedHypothesis, method: str) -> None:
        reml = truth.reml or method.startswith("kenward-roger")
        self.fitter = truth.fitter(reml)
        self.draws = ParametricBlocks(self.fitter, truth.design, truth.estimates)
        self.rows, self.values, self.method = hypothesis.rows, hypothesis.values, method
        self.distribution = ""

    @property
    def size(self) -> int:
        """As many as are drawn at once, but few enough to show progress."""
        return min(self.draws.size, LARGEST_BLOCK)

    def run(self, n: int, seed: np.random.SeedSequence) -> Replicates:
        """Draw, fit and test."""
        if self.draws.sampler is not None:
            found = refits_of_stack(self.fitter, self.draws.sampler.draw(n, seed))
        else:
            found = refits_of_responses(self.fitter, self.draws.responses(n, seed))
        pvalues, failures = np.full(n, np.nan), []
        for index, refit in enumerate(found):
            outcome = refit if isinstance(refit, str) else self._tested(refit)
            if isinstance(outcome, str):
                failures.append(Failure(index, outcome))
            else:
                pvalues[index] = outcome
        return Replicates(pvalues, tuple(failures))

    def _tested(self, refit: Refit) -> float | str:
        """P-value, or why there is none."""
        try:
            test = DF_METHODS[self.method](refit).joint(self.rows, self.values)
        except LMMError as error:
            return str(error.message)
        except (ArithmeticError, np.linalg.LinAlgError) as error:
            return f"the arithmetic broke down: {error}"
        if not (np.isfinite(test.statistic) and test.den_df > 0.0):
            return "the degrees of freedom are not defined"
        return f_p_value(test.statistic, test.num_df, test.den_df)


class LikelihoodRatioTests(Blocks):
    """Likelihood-ratio tests of a model against one with less.

    Parameters
    ----------
    truth : Truth
    hypothesis : Hypothesis
    boundary : {None, "chibar", "exact"}
        As for ``ranova``.
    seed : SeedSequence
        For the exact null distribution.
    """

    def __init__(
        self,
        truth: Truth,
        hypothesis: Hypothesis,
        boundary: str | None,
        seed: np.random.SeedSequence,
    ) -> None:
        is_random = isinstance(hypothesis, RandomHypothesis)
        reml = truth.reml and is_random
        fitter = truth.fitter(reml)
        self.draws = ParametricBlocks(fitter, truth.design, truth.estimates)
        self.large = MixedCriterion(fitter)
        matrices = hypothesis.restricted(truth.matrices)
        theta = None if is_random else truth.estimates.theta
        self.small = criterion_of(matrices, reml, theta)
        self.df = _parameters(self.large) - _parameters(self.small)
        if isinstance(hypothesis, FixedHypothesis):
            self.df = hypothesis.df
        self.null = None
        if boundary is not None and is_random:
            self.null = _null(truth, self.small, matrices, Boundary(boundary, reml, seed))
        self.distribution = f"chi2({self.df})" if self.null is None else str(self.null)

    @property
    def size(self) -> int:
        """Rows of so many responses are held at once."""
        sizes = [self.large.fitter.n_rows_at_once, LARGEST_BLOCK]
        if isinstance(self.small, MixedCriterion):
            sizes.append(self.small.fitter.n_rows_at_once)
        return min(sizes)

    def run(self, n: int, seed: np.random.SeedSequence) -> Replicates:
        """Draw, fit both models and test."""
        responses = self.draws.responses(n, seed)
        small, failed = self.small(responses)
        large, also_failed = self.large(responses)
        statistic = small - large
        for index in np.flatnonzero(statistic < -NOISE).tolist():
            better = self.large.from_moments(np.ascontiguousarray(responses[:, index]))
            statistic[index] = small[index] - min(large[index], better)
        failures = {failure.replicate: failure for failure in (*failed, *also_failed)}
        pvalues = self._pvalues(np.maximum(statistic, 0.0))
        return Replicates(pvalues, tuple(failures[index] for index in sorted(failures)))

    def _pvalues(self, statistic: FloatArray) -> FloatArray:
        if self.null is None:
            return np.asarray(special.chdtrc(self.df, statistic))
        out = np.full(len(statistic), np.nan)
        for index in np.flatnonzero(np.isfinite(statistic)):
            out[index] = self.null.survival(float(statistic[index]))
        return out


def _parameters(criterion: Any) -> int:
    """Number of covariance parameters of a model."""
    return criterion.fitter.system.n_theta if isinstance(criterion, MixedCriterion) else 0


def _null(truth: Truth, small: Any, matrices: Any, how: Boundary) -> Any:
    """Null distribution of a test of variances, where one is known."""
    system, templates = None, list[FloatArray]()
    if isinstance(small, MixedCriterion):
        system = small.fitter.system
        templates = Objective(system, how.reml).templates(small.fitter.start)
    smaller = Fitted(matrices, templates, system)
    larger = Fitted(truth.matrices, truth.estimates.templates, truth.system)
    found = null_for(smaller, larger, how, is_nested=True)
    if isinstance(found, str):
        raise OptionError(
            f"no null distribution of this kind is known for the test: {found}.",
            got=f"`boundary={how.kind!r}`",
            suggestion="`boundary=None`, the plain chi-square",
            argument="boundary",
            reason=found,
        )
    return found


def blocks_for(
    truth: Truth,
    hypothesis: Hypothesis,
    test: str,
    boundary: str | None,
    seed: np.random.SeedSequence,
) -> ApproximateTests | LikelihoodRatioTests:
    """What simulates and tests, by the name of a test."""
    if test == "lrt":
        return LikelihoodRatioTests(truth, hypothesis, boundary, seed)
    assert isinstance(hypothesis, FixedHypothesis)
    return ApproximateTests(truth, hypothesis, test)
