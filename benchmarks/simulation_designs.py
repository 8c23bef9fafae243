"""Designs of the simulation study: models with their truth, from which data sets are drawn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

import lmmformula as lf

__all__ = ["SCENARIOS", "Draw", "Effects", "Scenario"]


@dataclass(frozen=True, eq=False)
class Effects:
    """Random effects of one grouping factor; the level after the last fitted one is the new one.

    Attributes
    ----------
    codes : ndarray, shape (n,)
    z : ndarray, shape (n, k)
    root : ndarray, shape (k, k)
        Lower triangle; root @ root' is the covariance.
    new_z : ndarray, shape (k,)
        Effects' columns in the rows to be predicted.
    """

    codes: np.ndarray
    z: np.ndarray
    root: np.ndarray
    new_z: np.ndarray


@dataclass(frozen=True)
class Draw:
    """One data set, and what its intervals of predictions should hold.

    Attributes
    ----------
    y : ndarray, shape (n,)
    truths : dict of str to float
        Mean of the population, of the fitted level and of the new level; an observation of each.
    """

    y: np.ndarray
    truths: dict[str, float]


@dataclass(frozen=True, eq=False)
class Scenario:
    """A model with its truth.

    Attributes
    ----------
    name, title : str
    formula, null : str
        The model, and the model without the tested effect, which is zero.
    tested : tuple of str
        Names of the tested fixed effects.
    data, new : DataFrame
        Predictors; two rows to predict: first (fitted) levels, new levels.
    mean, new_mean : ndarray, float
        Fixed parts.
    effects : tuple of Effects
    sigma : float
    truth : dict of str to float
        Every parameter by its name in the package.
    cluster_robust : bool
        All factors lie within one, so cluster-robust tests exist.
    """

    name: str
    title: str
    formula: str
    null: str
    tested: tuple[str, ...]
    data: pd.DataFrame
    new: pd.DataFrame
    mean: np.ndarray
    new_mean: float
    effects: tuple[Effects, ...]
    sigma: float
    truth: dict[str, float]
    cluster_robust: bool = True

    def draw(self, rng: np.random.Generator) -> Draw:
        """Draw random effects and errors."""
        y, old, new = self.mean.copy(), self.new_mean, self.new_mean
        for part in self.effects:
            n_levels = int(part.codes.max()) + 1
            b = rng.standard_normal((n_levels + 1, len(part.root))) @ part.root.T
            y += np.einsum("ij,ij->i", part.z, b[part.codes])
            old += float(part.new_z @ b[0])
            new += float(part.new_z @ b[n_levels])
        y += self.sigma * rng.standard_normal(len(y))
        noise = self.sigma * rng.standard_normal(2)
        truths = {
            "population mean": self.new_mean,
            "mean of a fitted level": old,
            "mean of a new level": new,
            "observation, fitted level": old + noise[0],
            "observation, new level": new + noise[1],
        }
        return Draw(y, truths)

    def models(self) -> tuple[lf.LinearMixedModel, lf.LinearMixedModel]:
        """Both models with a provisional response; only the response changes later."""
        start = self.draw(np.random.default_rng(0)).y
        data = self.data.assign(y=start)
        return lf.lmm(self.null, data), lf.lmm(self.formula, data)


def _labels(codes: np.ndarray, letter: str) -> list[str]:
    return [f"{letter}{code:02d}" for code in codes]


def balanced() -> Scenario:
    """Six groups of five rows; the tested covariate is a property of the group."""
    g = np.repeat(np.arange(6), 5)
    w = np.array([-1.0, -0.6, -0.2, 0.2, 0.6, 1.0])[g]
    data = pd.DataFrame({"w": w, "g": _labels(g, "g")})
    new = pd.DataFrame({"w": [0.4, 0.4], "g": ["g00", "new"]})
    ones = np.ones((len(g), 1))
    return Scenario(
        "balanced",
        "6 groups of 5 rows, `y ~ w + (1 | g)`, w between groups",
        "y ~ w + (1 | g)",
        "y ~ 1 + (1 | g)",
        ("w",),
        data,
        new,
        np.full(len(g), 1.0),
        1.0,
        (Effects(g, ones, np.eye(1), np.ones(1)),),
        1.0,
        {"Intercept": 1.0, "w": 0.0, "sd_Intercept|g": 1.0, "sigma": 1.0},
    )


def slopes() -> Scenario:
    """Ten groups of six rows, random intercepts and slopes; the mean slope is tested."""
    g, x = np.repeat(np.arange(10), 6), np.tile(np.linspace(-1.0, 1.0, 6), 10)
    data = pd.DataFrame({"x": x, "g": _labels(g, "g")})
    new = pd.DataFrame({"x": [0.6, 0.6], "g": ["g00", "new"]})
    root = np.array([[1.0, 0.0], [0.3, np.sqrt(0.91)]])
    z = np.column_stack([np.ones(len(x)), x])
    return Scenario(
        "slopes",
        "10 groups of 6 rows, `y ~ x + (x | g)`",
        "y ~ x + (x | g)",
        "y ~ 1 + (x | g)",
        ("x",),
        data,
        new,
        np.full(len(g), 1.0),
        1.0,
        (Effects(g, z, root, np.array([1.0, 0.6])),),
        1.0,
        {
            "Intercept": 1.0,
            "x": 0.0,
            "sd_Intercept|g": 1.0,
            "cor_x.Intercept|g": 0.3,
            "sd_x|g": 1.0,
            "sigma": 1.0,
        },
    )


def unbalanced() -> Scenario:
    """Twelve groups of 2 to 9 rows; three arms of groups, tested together (2 df)."""
    sizes = np.array([2, 9, 4, 7, 3, 8, 2, 5, 9, 6, 2, 3])
    g = np.repeat(np.arange(12), sizes)
    arm = np.array(list("abcabbcaabca"))[g]
    x = np.random.default_rng(11).uniform(size=len(g))
    data = pd.DataFrame({"arm": arm, "x": x, "g": _labels(g, "g")})
    new = pd.DataFrame({"arm": ["a", "a"], "x": [0.5, 0.5], "g": ["g00", "new"]})
    return Scenario(
        "unbalanced",
        "12 groups of 2 to 9 rows, `y ~ arm + x + (1 | g)`, 3 arms of 5, 4 and 3 groups",
        "y ~ arm + x + (1 | g)",
        "y ~ x + (1 | g)",
        ("arm[T.b]", "arm[T.c]"),
        data,
        new,
        1.0 + x,
        1.5,
        (Effects(g, np.ones((len(g), 1)), np.eye(1), np.ones(1)),),
        1.0,
        {
            "Intercept": 1.0,
            "arm[T.b]": 0.0,
            "arm[T.c]": 0.0,
            "x": 1.0,
            "sd_Intercept|g": 1.0,
            "sigma": 1.0,
        },
    )


def crossed() -> Scenario:
    """Eight subjects by six items; the tested covariate is a property of the item."""
    s, i = np.repeat(np.arange(8), 6), np.tile(np.arange(6), 8)
    w = np.array([-1.0, -1.0, -1.0, 1.0, 1.0, 1.0])[i] / 2.0
    x = np.random.default_rng(12).uniform(size=len(s))
    data = pd.DataFrame({"w": w, "x": x, "s": _labels(s, "s"), "i": _labels(i, "i")})
    new = pd.DataFrame({"w": [-0.5] * 2, "x": [0.5] * 2, "s": ["s00", "new"], "i": ["i00", "new"]})
    ones = np.ones((len(s), 1))
    return Scenario(
        "crossed",
        "8 by 6 crossed levels, `y ~ w + x + (1 | s) + (1 | i)`, w between items",
        "y ~ w + x + (1 | s) + (1 | i)",
        "y ~ x + (1 | s) + (1 | i)",
        ("w",),
        data,
        new,
        1.0 + x,
        1.5,
        (
            Effects(s, ones, np.eye(1), np.ones(1)),
            Effects(i, ones, 0.7 * np.eye(1), np.ones(1)),
        ),
        1.0,
        {
            "Intercept": 1.0,
            "w": 0.0,
            "x": 1.0,
            "sd_Intercept|s": 1.0,
            "sd_Intercept|i": 0.7,
            "sigma": 1.0,
        },
        cluster_robust=False,
    )


SCENARIOS: tuple[Callable[[], Scenario], ...] = (balanced, slopes, unbalanced, crossed)
