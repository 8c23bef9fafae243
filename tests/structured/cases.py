"""Fits of structured models, and the same models written out with dense matrices.

Covariances are built here from the natural parameters in plain numpy; nothing of the engine is
used. Derivatives are differences of dense quantities.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

import lmmformula as lf

Array = NDArray[np.float64]

GRADIENT_STEP = 1e-5
HESSIAN_STEP = 1e-3


@cache
def data() -> pd.DataFrame:
    """Visits of subjects, two of them missing, with sites that cross subjects."""
    rng = np.random.default_rng(11)
    J, T = 18, 5
    s, t = np.repeat(np.arange(J), 2 * T), np.tile(np.repeat(np.arange(T), 2), J)
    n = len(s)
    d = pd.DataFrame({"s": [f"s{i:02d}" for i in s], "t": t.astype(float), "visit": t})
    d["second"] = np.tile([0, 1], J * T)
    d["f"] = np.where(s % 2 == 0, "a", "b")
    d["x"] = rng.uniform(1.0, 3.0, n)
    d["site"] = [f"k{i}" for i in rng.integers(0, 7, n)]
    d["w"] = rng.uniform(0.5, 2.0, n)
    process = np.zeros((J, T))
    for j in range(J):
        process[j, 0] = rng.normal()
        for k in range(1, T):
            process[j, k] = 0.5 * process[j, k - 1] + 0.87 * rng.normal()
    slopes = rng.normal(0.0, 1.0, J)
    intercepts = 1.5 * rng.normal(size=J) + 0.5 * slopes
    sites = rng.normal(0.0, 0.9, 7)[[int(name[1]) for name in d["site"]]]
    spread = np.where(d["f"] == "a", 0.8, 1.4) * d["x"] ** 0.7
    d["y"] = 2.0 + 0.5 * t + 0.7 * (d["f"] == "b") + intercepts[s] + slopes[s] * t + sites
    d["y"] += process[s, t] + spread * rng.normal(size=n)
    single = d.index[d["second"] == 0]
    noise = process[s[single], t[single]] * spread[single]
    d.loc[single, "z"] = 1.0 + 0.4 * t[single] + 2.0 * rng.normal(size=J)[s[single]] + noise
    return d.drop(index=[4, 5, 33]).reset_index(drop=True)


def _distance(values: pd.Series) -> Array:
    t = values.to_numpy(dtype=np.float64)
    return np.abs(t[:, None] - t)


def _same(values: pd.Series, others: pd.Series | None = None) -> Array:
    """One where two rows have the same label; text is compared once, not n^2 times."""
    others = values if others is None else others
    codes, _ = pd.factorize(np.concatenate([values, others]))
    return (codes[: len(values), None] == codes[len(values) :]).astype(np.float64)


def _scaled(matrix: Array, sd: Any) -> Array:
    sd = np.asarray(sd, dtype=np.float64)
    return matrix * sd[:, None] * sd


def _ratio(d: pd.DataFrame, ratio: float) -> Array:
    return np.where(d["f"] == "b", ratio, 1.0)


@dataclass(frozen=True)
class Case:
    """A model: how it is asked for, and its covariance over sigma^2 from theta.

    ``residual(theta, rows)`` and ``parts(theta, rows, others)`` take data frames; the latter gives
    the covariance of the random effects' sums between rows, by grouping factor.
    """

    formula: str
    options: dict[str, Any]
    residual: Callable[[Array, pd.DataFrame], Array]
    parts: Callable[[Array, pd.DataFrame, pd.DataFrame], dict[str, Array]]
    fixed: tuple[str, ...] = ("t", "f")

    @property
    def used(self) -> pd.DataFrame:
        """Rows with a response."""
        response = self.formula.split("~")[0].strip()
        return data().dropna(subset=[response]).reset_index(drop=True)

    def fit(self, rows: pd.DataFrame | None = None, reml: bool = True, **options: Any):
        """Fit to the used rows, or others."""
        rows = self.used if rows is None else rows
        return lf.lmm(self.formula, rows, **self.options, **options).fit(reml)


def _between(d: pd.DataFrame, e: pd.DataFrame, column: str) -> Array:
    return _same(d[column], e[column])


def _ar1(rho: float, d: pd.DataFrame) -> Array:
    return _same(d["s"]) * rho ** _distance(d["visit"])


def _cs_slopes(theta: Array, d: pd.DataFrame, e: pd.DataFrame) -> Array:
    one, other, rho = theta
    t, u = d["t"].to_numpy()[:, None], e["t"].to_numpy()
    values = one**2 + rho * one * other * (t + u) + other**2 * t * u
    return _between(d, e, "s") * values


def _ou(theta: Array, d: pd.DataFrame, e: pd.DataFrame) -> Array:
    sd, corr = theta
    lag = np.abs(d["t"].to_numpy()[:, None] - e["t"].to_numpy())
    return _between(d, e, "s") * sd**2 * corr**lag


CASES: dict[str, Case] = {
    "ar1 beside an intercept": Case(
        "z ~ t + f + (1 | s)",
        {"residual": "ar1(visit | s)", "variance": "ident(f)"},
        lambda th, d: _scaled(_ar1(th[1], d), _ratio(d, th[2])),
        lambda th, d, e: {"s": th[0] ** 2 * _between(d, e, "s")},
    ),
    "variance functions, crossed": Case(
        "y ~ t + f + (1 | s) + (1 | site)",
        {"variance": "ident(f) + power(x)"},
        lambda th, d: np.diag((_ratio(d, th[2]) * d["x"].to_numpy() ** th[3]) ** 2),
        lambda th, d, e: {
            "s": th[0] ** 2 * _between(d, e, "s"),
            "site": th[1] ** 2 * _between(d, e, "site"),
        },
    ),
    "variance function with weights": Case(
        "y ~ t + f + (1 | s)",
        {"variance": "exp(x)", "weights": "w"},
        lambda th, d: np.diag(np.exp(2.0 * th[1] * d["x"].to_numpy()) / d["w"].to_numpy()),
        lambda th, d, e: {"s": th[0] ** 2 * _between(d, e, "s")},
    ),
    "gls": Case(
        "z ~ t * f",
        {"residual": "ar1(visit | s)", "variance": "power(x)"},
        lambda th, d: _scaled(_ar1(th[0], d), d["x"].to_numpy() ** th[1]),
        lambda th, d, e: {},
        ("t", "f", "t:f"),
    ),
    "cs": Case(
        "y ~ t + f + cs(t | s) + (1 | site)",
        {},
        lambda th, d: np.eye(len(d)),
        lambda th, d, e: {
            "s": _cs_slopes(th[:3], d, e),
            "site": th[3] ** 2 * _between(d, e, "site"),
        },
    ),
    "ou": Case(
        "y ~ t + f + ou(0 + t | s)",
        {},
        lambda th, d: np.eye(len(d)),
        lambda th, d, e: {"s": _ou(th, d, e)},
    ),
}

STRUCTURED_RESIDUALS = [name for name, case in CASES.items() if case.options]
STRUCTURED_EFFECTS = ["cs", "ou"]


def columns(d: pd.DataFrame, fixed: tuple[str, ...]) -> Array:
    """Fixed-effects columns."""
    b = (d["f"] == "b").to_numpy(dtype=np.float64)
    t = d["t"].to_numpy()
    known = {"t": t, "f": b, "t:f": t * b}
    return np.column_stack([np.ones(len(d)), *(known[name] for name in fixed)])


class Dense:
    """Quantities of one fit by dense matrices, as functions of theta."""

    def __init__(self, case: Case, fit: Any) -> None:
        self.case, self.fit, self.d = case, fit, case.used
        self.X = columns(self.d, case.fixed)
        self.y = self.d[case.formula.split("~")[0].strip()].to_numpy()
        self.reml = fit.criterion == "REML"
        self.theta = np.array(fit.theta)
        n, p = self.X.shape
        self.nu = n - p if self.reml else n

    def H(self, theta: Array, rows: pd.DataFrame | None = None) -> Array:
        """Covariance of the responses over sigma^2."""
        d = self.d if rows is None else rows
        parts = self.case.parts(theta, d, d)
        return self.case.residual(theta, d) + sum(parts.values(), np.zeros((len(d), len(d))))

    def solved(self, theta: Array, H: Array | None = None) -> tuple[Array, Array, float, Array]:
        """beta, (X'H^-1X)^-1, squares, H^-1."""
        inverse = np.linalg.inv(self.H(theta) if H is None else H)
        Phi = np.linalg.inv(self.X.T @ inverse @ self.X)
        beta = Phi @ self.X.T @ inverse @ self.y
        rest = self.y - self.X @ beta
        return beta, Phi, float(rest @ inverse @ rest), inverse

    def criterion(self, theta: Array, log_variance: float | None = None) -> float:
        """-2 log likelihood at theta and sigma^2 (profiled by default), no log weights."""
        H = self.H(theta)
        _, Phi, squares, _ = self.solved(theta, H)
        log_variance = np.log(squares / self.nu) if log_variance is None else log_variance
        value = np.linalg.slogdet(H)[1] + self.nu * (np.log(2 * np.pi) + log_variance)
        value += squares / np.exp(log_variance)
        return float(value - (np.linalg.slogdet(Phi)[1] if self.reml else 0.0))

    @cached_property
    def sigma2(self) -> float:
        return self.solved(self.theta)[2] / self.nu

    @cached_property
    def parameters(self) -> Array:
        """theta and log sigma^2."""
        return np.append(self.theta, np.log(self.sigma2))

    @cached_property
    def parameter_covariance(self) -> Array:
        """Twice the inverse Hessian of the criterion, by differences of fourth order."""
        m = len(self.parameters)
        hessian, h = np.zeros((m, m)), HESSIAN_STEP

        def at(*moves: tuple[int, float]) -> float:
            q = self.parameters.copy()
            for index, size in moves:
                q[index] += size * h
            return self.criterion(q[:-1], q[-1])

        weights = {1: 2.0 / 3.0, -1: -2.0 / 3.0, 2: -1.0 / 12.0, -2: 1.0 / 12.0}
        for i in range(m):
            for j in range(i, m):
                total = sum(
                    wa * wb * at((i, a), (j, b))
                    for a, wa in weights.items()
                    for b, wb in weights.items()
                )
                hessian[i, j] = hessian[j, i] = total / h**2
        return 2.0 * np.linalg.inv(hessian)

    def slopes(self, function: Callable[[Array, float], Array]) -> Array:
        """Derivatives of a function of theta and sigma^2 in ``parameters``, (m, ...)."""
        found = []
        for step in GRADIENT_STEP * np.eye(len(self.parameters)):
            up, down = self.parameters + step, self.parameters - step
            ends = [function(q[:-1], float(np.exp(q[-1]))) for q in (up, down)]
            found.append((ends[0] - ends[1]) / (2.0 * GRADIENT_STEP))
        return np.array(found)

    def satterthwaite(self, function: Callable[[Array, float], Array]) -> Array:
        """2 v^2 / (g'Cg) of variances that depend on theta and sigma^2."""
        v, g = function(self.theta, self.sigma2), self.slopes(function)
        return 2.0 * v**2 / np.einsum("in,ij,jn->n", g, self.parameter_covariance, g)

    def prediction_variance(
        self, rows: pd.DataFrame, observation: bool
    ) -> Callable[[Array, float], Array]:
        """Variance of the error of predictions of rows whose levels were fitted."""
        x = columns(rows, self.case.fixed)

        def variance(theta: Array, sigma2: float) -> Array:
            _, Phi, _, inverse = self.solved(theta)
            zero = np.zeros((len(rows), len(self.d)))
            C = sum(self.case.parts(theta, rows, self.d).values(), zero)
            own = sum(self.case.parts(theta, rows, rows).values(), np.zeros((len(rows),) * 2))
            gap = x - C @ inverse @ self.X
            total = own - C @ inverse @ C.T + gap @ Phi @ gap.T
            if observation:
                total = total + np.diag(np.diag(self.case.residual(theta, rows)))
            return sigma2 * np.diag(total)

        return variance

    def fitted(self, rows: pd.DataFrame) -> Array:
        """Predictions of rows."""
        beta, _, _, inverse = self.solved(self.theta)
        zero = np.zeros((len(rows), len(self.d)))
        C = sum(self.case.parts(self.theta, rows, self.d).values(), zero)
        return columns(rows, self.case.fixed) @ beta + C @ inverse @ (self.y - self.X @ beta)


@cache
def fitted(name: str, reml: bool = True):
    """One fit of a case."""
    return CASES[name].fit(reml=reml)


@cache
def dense(name: str, reml: bool = True) -> Dense:
    """The dense form of it."""
    return Dense(CASES[name], fitted(name, reml))
