"""Power of a test by simulating the study that is planned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from lmmformula._arrays import FloatArray
from lmmformula.design.notify import notify
from lmmformula.errors import ConvergenceWarning, NumericalError, OptionError
from lmmformula.inference.bootstrap.fits import Failure
from lmmformula.inference.bootstrap.run import check_count, run_blocks, seed_sequence
from lmmformula.inference.comparison.boundary import check_boundary
from lmmformula.inference.effects.df import DF_METHODS
from lmmformula.inference.effects.wald import check_alpha
from lmmformula.planning.extend import resized
from lmmformula.planning.hypotheses import FixedHypothesis, Hypothesis, find_hypothesis
from lmmformula.planning.plan import Plan
from lmmformula.planning.replicates import blocks_for
from lmmformula.planning.tables import power_table
from lmmformula.planning.truth import Truth
from lmmformula.postfit.progress import Progress
from lmmformula.report.printed import Printed
from lmmformula.report.render import Medium, render

__all__ = ["Power", "power"]

CALL = 'lf.power(results, "Days", 1000, seed=1)'
LEVEL = 0.95
"""Level of the limits for the power itself."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Power(Printed):
    """Share of simulated studies in which a test rejects.

    Attributes
    ----------
    power : float
        Rejections over studies simulated; a study without a fit counts as no rejection.
    lower, upper : float
        Exact (Clopper-Pearson) 95 % limits for the simulation error of ``power``.
    term, test : str
        What was tested, and how.
    alpha : float
        Level of the test.
    n_sim, n_failed : int
        Studies simulated, and those that could not be fitted or tested.
    pvalues : ndarray, shape (n_sim,)
        P-value of every study; NaN where it failed.
    failures : tuple of Failure
        Which studies failed, and why.
    nobs : int
        Rows of the planned study.
    ngroups : dict of str to int
        Levels of its grouping factors.
    assumed : dict of str to float
        The tested fixed effects as they were assumed.
    distribution : str
        Null distribution of a likelihood ratio: ``chi2(1)``, ``0.5 chi2(0) + 0.5 chi2(1)``; empty
        for other tests.
    """

    power: float
    lower: float
    upper: float
    term: str
    test: str
    alpha: float
    n_sim: int
    n_failed: int
    pvalues: FloatArray
    failures: tuple[Failure, ...]
    nobs: int
    ngroups: dict[str, int]
    assumed: dict[str, float]
    distribution: str

    def at(self, alpha: float) -> tuple[float, float, float]:
        """Power and its limits at another level, from the same studies."""
        return _share(self.pvalues, check_alpha(alpha))

    def _write(self, medium: Medium) -> str:
        return render(power_table(self), medium)


def power(
    model: Any,
    term: Any,
    n_sim: int = 1000,
    seed: Any = None,
    *,
    levels: Mapping[str, int] | None = None,
    within: Mapping[str, int] | None = None,
    effect: float | Mapping[str, float] | None = None,
    varcorr: Mapping[str, float] | None = None,
    sigma: float | None = None,
    residuals: Mapping[str, float] | None = None,
    test: str | None = None,
    boundary: str | None = None,
    alpha: float = 0.05,
    progress: Progress = None,
    n_jobs: int = 1,
    executor: Any = None,
) -> Power:
    """Simulate a planned study many times, and count how often a test rejects.

    Responses are drawn from the model at its (assumed) parameters, in the planned rows; the model
    is fitted to each and the hypothesis tested.

    Parameters
    ----------
    model : LinearMixedResults or Plan
        A fit, of a pilot study say, or assumptions from ``lf.plan``.
    term : str or constraint
        What is tested: the name of a coefficient (``"Days"``, ``"Machine[T.B]"``), else a term of
        the fixed effects (its type III hypothesis, as in ``anova``), else a random-effects term
        (``"(1 | Subject)"``, ``"Days in (Days | Subject)"``, as in ``ranova``), else a linear
        constraint in any form that ``t_test`` takes (``"Days = 5"``).
    n_sim : int, default 1000
        Number of studies.
    seed : int, SeedSequence or Generator
        Source of randomness; the result depends on nothing else, not on where studies run.
    levels : mapping of str to int, optional
        Other numbers of levels by grouping factor: ``{"Subject": 40}``. New levels copy the rows
        of existing ones in rotation; factors nested in it are copied along, crossed ones stay.
    within : mapping of str to int, optional
        Rows in every level of a grouping factor, ``{"Subject": 20}``, or in every combination,
        ``{"Subject:condition": 10}``; existing rows in rotation. After ``levels``.
    effect : float or mapping of str to float, optional
        Fixed effects to plan for; a number is that of the tested coefficient.
    varcorr : mapping of str to float, optional
        Standard deviations and correlations to plan for, named as in
        ``results.varcorr.parameters()``: ``{"sd_Days|Subject": 8}``.
    sigma : float, optional
        Residual standard deviation to plan for.
    residuals : mapping of str to float, optional
        Parameters of structured residuals to plan for, named as in
        ``results.residual_structure.parameters()``: ``{"rho": 0.5}``.
    test : str, optional
        For fixed effects "satterthwaite" (default), "kenward-roger", "kenward-roger-observed",
        "wald" or "lrt"; for random effects "lrt". Likelihood ratios of fixed effects are by
        maximum likelihood; Kenward-Roger takes REML; otherwise fits are by the model's criterion.
    boundary : {None, "chibar", "exact"}
        Null distribution of tests of random effects, as for ``ranova``.
    alpha : float, default 0.05
        Level of the test.
    progress, n_jobs, executor
        As for ``results.bootstrap``.

    Returns
    -------
    Power
        Prints itself; ``power, lower, upper, pvalues, n_failed, nobs, ngroups``.

    Raises
    ------
    OptionError
        An unknown term, factor or parameter, or a test that does not fit the term.
    DesignError
        The planned rows do not identify the model.

    Warns
    -----
    ConvergenceWarning
        Some studies could not be fitted; they count as no rejection.

    Notes
    -----
    With the estimates of a small pilot study as assumptions the result is optimistic about effects
    that looked large by chance. Plan for the smallest effect that matters: ``effect=``.

    References
    ----------
    Green and MacLeod (2016), Methods Ecol. Evol. 7, 493-498 (the same idea in R).

    Examples
    --------
    >>> import lmmformula as lf
    >>> fit = lf.lmer("Reaction ~ Days + (Days | Subject)", lf.load_dataset("sleepstudy"))
    >>> found = lf.power(fit, "Days", 100, seed=1, levels={"Subject": 9}, effect=5.0)
    >>> bool(found.lower < 0.6 < found.upper)
    True
    """
    n_sim, root = check_count(n_sim, CALL), seed_sequence(seed, CALL)
    level = check_alpha(alpha)
    check_boundary(boundary)
    truth = truth_of(model)
    if levels is not None or within is not None:
        truth = truth.with_matrices(resized(truth.design, levels, within))
    hypothesis = find_hypothesis(truth.design, term)
    method = _checked_test(test, hypothesis, boundary)
    truth = truth.with_parameters(_effects(effect, hypothesis), varcorr, sigma, residuals)
    draws, null = root.spawn(2)
    blocks = blocks_for(truth, hypothesis, method, boundary, null)
    where = {"n_jobs": n_jobs, "executor": executor}
    parts = run_blocks(blocks, n_sim, draws, progress=progress, name="power", **where)
    return _summed_up(parts, truth, hypothesis, method, level, blocks.distribution)


def _summed_up(
    parts: list[Any],
    truth: Truth,
    hypothesis: Hypothesis,
    test: str,
    alpha: float,
    distribution: str,
) -> Power:
    """Put the blocks' p-values together."""
    pvalues, failures = np.concatenate([part.pvalues for part in parts]), _renumbered(parts)
    _check_failures(failures, len(pvalues))
    return Power(
        *_share(pvalues, alpha),
        term=hypothesis.label,
        test=test,
        alpha=alpha,
        n_sim=len(pvalues),
        n_failed=len(failures),
        pvalues=pvalues,
        failures=failures,
        nobs=truth.matrices.n_obs,
        ngroups=truth.ngroups,
        assumed=_assumed(truth, hypothesis),
        distribution=distribution,
    )


def truth_of(model: Any) -> Truth:
    """Parameters and design of a fit or of a plan."""
    if isinstance(model, Plan):
        return model.truth
    if not hasattr(model, "refit_ml"):
        raise OptionError(
            "`power` plans from a fitted model, or from assumptions that `lf.plan` puts together.",
            got=f"an object of type `{type(model).__name__}`",
            suggestion=f"`{CALL}`",
            argument="model",
        )
    model.model.require_rows("`power`")
    return Truth(model.design, model.estimates, model.criterion == "REML")


def _checked_test(test: Any, hypothesis: Hypothesis, boundary: str | None) -> str:
    """Name of the test, once it is clear that it fits the hypothesis."""
    is_fixed = isinstance(hypothesis, FixedHypothesis)
    available = (*DF_METHODS, "lrt") if is_fixed else ("lrt",)
    found = available[0] if test is None else test
    if found not in available:
        raise OptionError(
            f"`test={test!r}` cannot test `{hypothesis.label}`.",
            got=f"available: {', '.join(available)}",
            suggestion=f'`test="{available[0]}"`',
            argument="test",
            available=available,
        )
    if boundary is not None and is_fixed:
        raise OptionError(
            "`boundary` is for tests of random effects.",
            got=f"`boundary={boundary!r}` and the fixed effect `{hypothesis.label}`",
            suggestion="leave `boundary` out",
            argument="boundary",
        )
    return str(found)


def _effects(effect: Any, hypothesis: Hypothesis) -> Mapping[str, Any] | None:
    """Fixed effects by name; a bare number is that of the tested coefficient."""
    if effect is None or isinstance(effect, Mapping):
        return effect
    name = hypothesis.coefficient if isinstance(hypothesis, FixedHypothesis) else None
    if name is None:
        raise OptionError(
            "`effect` is one number, but the term is not one coefficient.",
            got=f"`effect={effect!r}` for `{hypothesis.label}`",
            suggestion="`effect={'name': 5.0}`, with names as in `results.params`",
            argument="effect",
        )
    return {name: effect}


def _assumed(truth: Truth, hypothesis: Hypothesis) -> dict[str, float]:
    if not isinstance(hypothesis, FixedHypothesis):
        return {}
    used = np.any(hypothesis.rows != 0.0, axis=0)
    return {str(name): float(value) for name, value in truth.params[used].items()}


def _renumbered(parts: list[Any]) -> tuple[Failure, ...]:
    """Failures of all blocks by their position among all studies."""
    failures, start = [], 0
    for part in parts:
        failures += [Failure(start + f.replicate, f.reason) for f in part.failures]
        start += len(part.pvalues)
    return tuple(failures)


def _check_failures(failures: tuple[Failure, ...], n_sim: int) -> None:
    if len(failures) == n_sim:
        raise NumericalError(
            f"none of the {n_sim} simulated studies could be fitted and tested.",
            got=failures[0].reason,
            suggestion="a simpler model, or more levels",
            n_failed=n_sim,
        )
    if failures:
        notify(
            ConvergenceWarning(
                f"{len(failures)} of {n_sim} simulated studies could not be fitted or tested; they "
                "count as no rejection.",
                got=failures[0].reason,
                suggestion="look at `failures`",
                n_failed=len(failures),
            )
        )


def _share(pvalues: FloatArray, alpha: float) -> tuple[float, float, float]:
    """Share of p-values below the level, with Clopper and Pearson's limits."""
    from scipy.stats import binomtest

    n, hits = len(pvalues), int(np.sum(pvalues < alpha))
    lower, upper = binomtest(hits, n).proportion_ci(LEVEL, method="exact")
    return hits / n, float(lower), float(upper)
