"""What the tests and intervals of one simulated data set come to."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from scipy import stats

import lmmformula as lf
from benchmarks.simulation_designs import Draw, Scenario
from lmmformula.inference.effects.approximation import JointTest

__all__ = ["BOOTSTRAP_METHODS", "Outcome", "Study"]

ALPHA = 0.05
FIXED_METHODS = ("wald", "satterthwaite", "kenward-roger", "kenward-roger-observed")
PREDICTION_METHODS = ("wald", "satterthwaite", "kenward-roger-observed")
BOOTSTRAP_METHODS: tuple[Literal["percentile", "basic", "bca", "normal", "shortest"], ...] = (
    "percentile",
    "basic",
    "bca",
    "normal",
    "shortest",
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """One yes or no: a rejection, a hit, or a state of a fit; None where it is not defined."""

    kind: str
    target: str
    method: str
    value: bool | None


class Study:
    """Fits data sets of one scenario; the models' matrices are made once.

    Parameters
    ----------
    scenario : Scenario
    replicates : int
        Bootstrap replicates.
    """

    def __init__(self, scenario: Scenario, replicates: int) -> None:
        self.scenario, self.replicates = scenario, replicates
        self.null, self.model = scenario.models()
        names = self.model.fit().params.index
        self.rows = np.array([names == name for name in scenario.tested], dtype=float)

    def main(self, seed: np.random.SeedSequence, whole: bool) -> Iterator[Outcome]:
        """Everything but the bootstrap; ends of profile intervals only where ``whole``."""
        drawn = self.scenario.draw(np.random.default_rng(seed))
        fit = self.model.with_response(drawn.y).fit()
        yield from _state("REML fit", fit)
        yield from self._fixed(fit)
        yield from self._profile(fit, whole)
        yield from self._likelihood_ratio(drawn)
        yield from self._predictions(fit, drawn)

    def bootstrap(self, seed: np.random.SeedSequence) -> Iterator[Outcome]:
        """Bootstrap test and intervals of the same data set."""
        drawn = self.scenario.draw(np.random.default_rng(seed))
        model, null = (m.with_response(drawn.y) for m in (self.model, self.null))
        first, second = seed.spawn(2)
        fit = model.fit()
        replicates = fit.bootstrap(self.replicates, first)
        yield _some_failed("bootstrap intervals", replicates.n_failed)
        for method in BOOTSTRAP_METHODS:
            yield from self._coverage(replicates.conf_int(method=method), f"bootstrap {method}")
        test = lf.bootstrap_lrt(null.fit(False), model.fit(False), self.replicates, second)
        yield _some_failed("bootstrap test", test.n_failed)
        yield Outcome("size", self._tested, "bootstrap LRT", test.pvalue <= ALPHA)
        yield Outcome("size", self._tested, "LRT, same data sets", _chi2_rejects(test))

    @property
    def _tested(self) -> str:
        return ", ".join(self.scenario.tested)

    def _coverage(self, limits: pd.DataFrame, method: str) -> Iterator[Outcome]:
        for name, row in zip(limits.index, limits.to_numpy(), strict=True):
            truth = self.scenario.truth[name]
            yield Outcome("coverage", name, method, _holds(row[0], row[1], truth))

    def _fixed(self, fit: lf.LinearMixedResults) -> Iterator[Outcome]:
        methods: list[tuple[str, Mapping[str, str]]] = [(name, {}) for name in FIXED_METHODS]
        if self.scenario.cluster_robust:
            methods.append(("satterthwaite", {"robust": "CR2"}))
        for ddf, options in methods:
            label = "CR2" if options else ddf
            used = fit.approximation(ddf, **options)
            test = used.joint(self.rows)
            yield Outcome("size", self._tested, label, _rejects(test))
            yield from self._coverage(fit.conf_int(ALPHA, ddf, **options), label)

    def _profile(self, fit: lf.LinearMixedResults, whole: bool) -> Iterator[Outcome]:
        """An interval holds the truth where |zeta| there is below the quantile; or see its ends."""
        limits, truth = None, self.scenario.truth
        with warnings.catch_warnings(record=True) as raised:
            warnings.simplefilter("always")
            profile = fit.profile()
            zeta = {name: float(profile.zeta(name, [value])[0]) for name, value in truth.items()}
            if whole:
                limits = profile.conf_int(ALPHA)
        doubtful = any(issubclass(w.category, lf.ConvergenceWarning) for w in raised)
        yield Outcome("state", "profile", "with a convergence warning", doubtful)
        held = {name: _below(value) for name, value in zeta.items()}
        for name, value in held.items():
            yield Outcome("coverage", name, "profile", value)
        if limits is not None:
            ends = dict(zip(limits.index, limits.to_numpy(), strict=True))
            same = all(
                _holds(ends[name][0], ends[name][1], truth[name]) == held[name] for name in held
            )
            yield Outcome("state", "profile", "ends contradict zeta", not same)

    def _likelihood_ratio(self, drawn: Draw) -> Iterator[Outcome]:
        fits = [m.with_response(drawn.y).fit(reml=False) for m in (self.null, self.model)]
        for label, fit in zip(("ML fit, null", "ML fit"), fits, strict=True):
            yield from _state(label, fit)
        statistic = fits[0].objective - fits[1].objective
        p = stats.chi2.sf(statistic, len(self.rows))
        yield Outcome("size", self._tested, "LRT", bool(p <= ALPHA))

    def _predictions(self, fit: lf.LinearMixedResults, drawn: Draw) -> Iterator[Outcome]:
        new, names = self.scenario.new, list(drawn.truths)
        for ddf in PREDICTION_METHODS:
            tables = [
                fit.predict(new[1:], random="none", interval="confidence", ddf=ddf),
                fit.predict(new, new_levels="zero", interval="confidence", ddf=ddf),
                fit.predict(new, new_levels="zero", interval="prediction", ddf=ddf),
            ]
            limits = np.concatenate([table[["lower", "upper"]].to_numpy() for table in tables])
            for name, (lower, upper) in zip(names, limits, strict=True):
                value = _holds(lower, upper, drawn.truths[name])
                yield Outcome("prediction", name, ddf, value)


def _holds(lower: float, upper: float, truth: float) -> bool | None:
    return None if np.isnan(lower) or np.isnan(upper) else bool(lower <= truth <= upper)


def _rejects(test: JointTest) -> bool | None:
    if np.isinf(test.den_df):
        return bool(stats.chi2.sf(test.num_df * test.statistic, test.num_df) <= ALPHA)
    p = stats.f.sf(test.statistic, test.num_df, test.den_df)
    return None if np.isnan(p) else bool(p <= ALPHA)


def _below(zeta: float) -> bool | None:
    return None if np.isnan(zeta) else bool(abs(zeta) <= stats.norm.isf(ALPHA / 2.0))


def _state(label: str, fit: lf.LinearMixedResults) -> Iterator[Outcome]:
    yield Outcome("state", label, "minimum not proved", not fit.converged)
    yield Outcome("state", label, "singular", fit.is_singular)


def _some_failed(label: str, n_failed: int) -> Outcome:
    return Outcome("state", label, "with a failed replicate", n_failed > 0)


def _chi2_rejects(test: lf.BootstrapLRT) -> bool:
    return bool(stats.chi2.sf(test.statistic, test.df) <= ALPHA)
