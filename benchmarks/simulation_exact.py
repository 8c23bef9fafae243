"""Exact tests on the data sets of the simulation study, to tell chance from method.

    python -m benchmarks.simulation_exact --data-sets 2000

In the two balanced designs a t test on group means, or on the slopes of single groups, has exactly
its nominal level. How often it rejects in the study's own data sets shows how lucky they are; how
often normal and chi-square quantiles make it reject is what theory expects of these tests, where
no variance is estimated as zero.
"""

from __future__ import annotations

import argparse

import numpy as np
from scipy import optimize, stats

from benchmarks.simulation_designs import SCENARIOS, Scenario
from benchmarks.simulation_study import SEED

__all__ = ["main", "profile_coverage", "rejections"]

ALPHA = 0.05
NORMAL = stats.norm.isf(ALPHA / 2.0)
CHI_SQUARE = stats.chi2.isf(ALPHA, 1)


def responses(design: int, n: int) -> tuple[Scenario, np.ndarray]:
    """Return the responses of a design's first data sets, (n, rows)."""
    scenario = SCENARIOS[design]()
    seeds = (np.random.SeedSequence(SEED, spawn_key=(design, index)) for index in range(n))
    return scenario, np.array([scenario.draw(np.random.default_rng(s)).y for s in seeds])


def balanced_statistics(n: int) -> tuple[np.ndarray, int, int]:
    """Return t of the covariate on group means, its degrees of freedom and the groups."""
    scenario, y = responses(0, n)
    means, w = y.reshape(n, 6, 5).mean(axis=2), scenario.data["w"].to_numpy()[::5]
    X = np.column_stack([np.ones(6), w])
    beta = means @ np.linalg.pinv(X).T
    variance = np.sum((means - beta @ X.T) ** 2, axis=1) / 4
    return beta[:, 1] / np.sqrt(variance / (w @ w)), 4, 6


def slope_statistics(n: int) -> tuple[np.ndarray, int, int]:
    """Return t of the mean of the groups' own slopes, its degrees of freedom and the groups."""
    scenario, y = responses(1, n)
    x = scenario.data["x"].to_numpy()[:6]
    slopes = y.reshape(n, 10, 6) @ x / (x @ x)
    return slopes.mean(axis=1) / slopes.std(axis=1, ddof=1) * np.sqrt(10), 9, 10


def rejections(t: np.ndarray, df: int, groups: int) -> dict[str, tuple[float, float]]:
    """Share of rejections in the data sets, and expected, by quantile."""
    ratio = df * np.expm1(CHI_SQUARE / groups)
    return {
        "t": (float(np.mean(np.abs(t) > stats.t.isf(ALPHA / 2.0, df))), ALPHA),
        "normal": (float(np.mean(np.abs(t) > NORMAL)), 2.0 * float(stats.t.sf(NORMAL, df))),
        "chi-square of the LRT": (
            float(np.mean(groups * np.log1p(t**2 / df) > CHI_SQUARE)),
            float(stats.f.sf(ratio, 1, df)),
        ),
    }


def profile_coverage(groups: int, df: int) -> float:
    """Expected coverage of the profile interval of the variance of group means."""

    def excess(u: float) -> float:
        return float(groups * (u - 1.0 - np.log(u)) - CHI_SQUARE)

    ends = optimize.brentq(excess, 1e-9, 1.0), optimize.brentq(excess, 1.0, 1e3)
    return float(stats.chi2.cdf(groups * ends[1], df) - stats.chi2.cdf(groups * ends[0], df))


def main() -> None:
    """Print shares from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-sets", type=int, default=2000)
    n = parser.parse_args().data_sets
    for name, statistics in (("balanced", balanced_statistics), ("slopes", slope_statistics)):
        for quantile, (found, expected) in rejections(*statistics(n)).items():
            print(f"{name}, {quantile}: {100 * found:.1f} %, expected {100 * expected:.1f} %")
    print(f"balanced, profile of the groups' variance: {100 * profile_coverage(6, 4):.1f} %")


if __name__ == "__main__":
    main()
