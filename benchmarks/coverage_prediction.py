"""Coverage of the intervals of ``predict``: how often they hold what they are for.

    python -m benchmarks.coverage_prediction --data-sets 2000 --seed 1

Three designs of 5 to 20 groups. For every data set the random effects are drawn anew, the model is
fitted, and each interval is compared with the truth of that data set: the population's mean, the
mean of a fitted level, the mean of a new level, and new observations of both. Prints a Markdown
table of coverage in per cent; two Monte Carlo errors of a nominal 95 % are printed below it.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

import lmmformula as lf

METHODS = ("wald", "satterthwaite", "kenward-roger-observed")
TARGETS = (
    "mean of the population",
    "mean of a fitted level",
    "mean of a new level",
    "observation, fitted level",
    "observation, new level",
    "observation, random effects left out",
)


@dataclass(frozen=True)
class Design:
    """A model, its data without response, its truth, and two rows to predict.

    The first new row has fitted levels, the second a new level of every factor.
    """

    name: str
    formula: str
    data: pd.DataFrame
    new: pd.DataFrame
    draw: Callable[[np.random.Generator], tuple[np.ndarray, np.ndarray, float]]
    """Returns the means of the data's rows, those of the new rows, and the population's mean."""


def slopes() -> Design:
    """Twelve groups of eight rows, random intercepts and slopes."""
    x = np.tile(np.linspace(0.0, 1.0, 8), 12)
    g = np.repeat(np.arange(12), 8)
    root = np.array([[1.0, 0.0], [0.3, 0.95]])
    new = pd.DataFrame({"x": [0.8, 0.8], "g": ["g0", "new"]})

    def draw(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, float]:
        b = rng.standard_normal((13, 2)) @ root.T
        level = np.array([0, 12])
        return (
            1.0 + 2.0 * x + b[g, 0] + b[g, 1] * x,
            1.0 + 2.0 * 0.8 + b[level, 0] + b[level, 1] * 0.8,
            1.0 + 2.0 * 0.8,
        )

    data = pd.DataFrame({"x": x, "g": [f"g{i}" for i in g]})
    return Design("12 groups, (x given g)", "y ~ x + (x | g)", data, new, draw)


def unbalanced() -> Design:
    """Six groups of 2 to 15 rows, random intercepts; the group predicted has three rows."""
    sizes = np.array([3, 2, 15, 8, 4, 12])
    g = np.repeat(np.arange(6), sizes)
    x = np.random.default_rng(3).uniform(size=len(g))
    new = pd.DataFrame({"x": [0.5, 0.5], "g": ["g0", "new"]})

    def draw(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, float]:
        b = rng.standard_normal(7)
        return 1.0 + x + b[g], 1.5 + b[[0, 6]], 1.5

    data = pd.DataFrame({"x": x, "g": [f"g{i}" for i in g]})
    return Design("6 groups of 2 to 15 rows, (1 given g)", "y ~ x + (1 | g)", data, new, draw)


def crossed() -> Design:
    """Twenty by eight levels, two thirds of the cells filled."""
    rng = np.random.default_rng(4)
    cells = np.array([(s, i) for s in range(20) for i in range(8)])
    s, i = cells[np.sort(rng.permutation(160)[:107])].T
    x = rng.uniform(size=len(s))
    new = pd.DataFrame({"x": [0.5, 0.5], "s": ["s0", "new"], "i": ["i0", "new"]})

    def draw(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, float]:
        b, c = rng.standard_normal(21), 0.7 * rng.standard_normal(9)
        return 1.0 + x + b[s] + c[i], 1.5 + b[[0, 20]] + c[[0, 8]], 1.5

    data = pd.DataFrame({"x": x, "s": [f"s{k}" for k in s], "i": [f"i{k}" for k in i]})
    formula = "y ~ x + (1 | s) + (1 | i)"
    return Design("20 by 8 crossed, a third of the cells empty", formula, data, new, draw)


DESIGNS = (slopes, unbalanced, crossed)


def study(design: Design, n: int, seed: np.random.SeedSequence) -> pd.DataFrame:
    """Share of intervals that hold their truth, target by method."""
    rng = np.random.default_rng(seed)
    hits = np.zeros((len(TARGETS), len(METHODS)))
    model = lf.lmm(design.formula, design.data.assign(y=rng.standard_normal(len(design.data))))
    for _ in range(n):
        rows, truth, population = design.draw(rng)
        fit = model.with_response(rows + rng.standard_normal(len(rows))).fit()
        observed = truth + rng.standard_normal(2)
        truths = np.array([population, *truth, *observed, observed[1]])
        for column, method in enumerate(METHODS):
            hits[:, column] += holds(fit, design.new, truths, method)
    return pd.DataFrame(hits / n, index=list(TARGETS), columns=list(METHODS))


def holds(
    fit: lf.LinearMixedResults, new: pd.DataFrame, truths: np.ndarray, method: str
) -> np.ndarray:
    """Which intervals of one data set hold their truth."""
    tables = [
        fit.predict(new[1:], random="none", interval="confidence", ddf=method),
        fit.predict(new, new_levels="zero", interval="confidence", ddf=method),
        fit.predict(new, new_levels="zero", interval="prediction", ddf=method),
        fit.predict(new[1:], random="none", interval="prediction", ddf=method),
    ]
    limits = pd.concat(tables)[["lower", "upper"]].to_numpy()
    return (limits[:, 0] <= truths) & (truths <= limits[:, 1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-sets", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", lf.LMMWarning)
    designs = [make() for make in DESIGNS]
    seeds = np.random.SeedSequence(arguments.seed).spawn(len(designs))
    print(
        "| design | interval for | normal | Satterthwaite | Kenward-Roger |\n|---|---|---|---|---|"
    )
    for design, seed in zip(designs, seeds, strict=True):
        for target, row in study(design, arguments.data_sets, seed).iterrows():
            cells = " | ".join(f"{100 * value:.1f}" for value in row)
            print(f"| {design.name} | {target} | {cells} |", flush=True)
    error = 200 * np.sqrt(0.95 * 0.05 / arguments.data_sets)
    print(f"\n{arguments.data_sets} data sets each; two Monte Carlo errors are {error:.1f}.")


if __name__ == "__main__":
    main()
