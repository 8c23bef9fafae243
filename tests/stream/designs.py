"""Formulas, arguments and a table with a column of every kind, for designs made of pieces."""

from __future__ import annotations

import numpy as np
import pandas as pd

FORMULAS = (
    "y ~ x + (x | g)",
    "y ~ x * f + (1 | g) + (1 | g:f)",
    "y ~ 0 + f + z + (0 + f | g)",
    "y ~ poly(x, 2) + f:z + (1 | g/f)",
    "y ~ poly(x, 2, raw = TRUE) + poly(scale(z), 3) + (1 | id)",
    "y ~ I(x > 0) * f + offset(z) + (scale(z) | g)",
    "y ~ log(abs(x) + 1) + x:z + (f || g)",
    "y ~ (x || g)",
    "y ~ ns(x, df = 3) + (1 | id)",
    "y ~ bs(x, knots = c(0, 1)) + (1 | id)",
    "y ~ bs(x, df = 5) + (1 | id)",
    "y ~ C(k, contr.sum) + (1 | id)",
    "y ~ factor(k) * b + (1 | day)",
    "y ~ C(f, contr.helmert) + (1 | b)",
    "y ~ relevel(f, ref = 'b') + (factor(k) | id)",
    "y ~ cut(x, 3) + cut(z, c(-10, 0, 10)) + (1 | id)",
    "y ~ I(x - mean(x)) + I((x - mean(x)) * (x + mean(x))) + (1 | id)",
    "y ~ I(x / sd(x)) + I(var(x) * z) + I(x - median(x)) + (1 | id)",
    "y ~ center(x) + standardize(z) + I(x - min(x)) + I(z / max(z)) + I(x / sum(z)) + (1 | id)",
    "y ~ I(x / sum(x, 1000)) + (1 | id)",
    "y ~ ifelse(x > mean(x), 'high', 'low') + (1 | id)",
    "y ~ as_numeric(f) + scale(as_numeric(c)) + (1 | c)",
    "y ~ c + (1 | c:k) + (1 | factor(k))",
    "y ~ x + (1 | id) + (1 | wide) + (1 | k:day:f)",
    "y ~ is_na(x) + x2 + (1 | id)",
    "log(y + 100) ~ f + half + (1 | g) + (x | id)",
    "y ~ f + twice + x + I(2 * x) + (1 | id)",
    "y ~ x + cs(0 + c | id) + (1 | f)",
    "y ~ ou(0 + k | id) + x",
    "y ~ exp(k + half + 0 | id)",
    "y ~ day + (1 | id)",
    "y ~ x + k + half + (1 | whole)",
    "y ~ 1 + (1 | f * g)",
)

OPTIONS = (
    {"weights": "w"},
    {"weights": "1 / w", "offset": "z"},
    {"offset": "scale(x)"},
    {"subset": "use"},
    {"subset": "x > mean(x) & f != 'c'"},
    {"subset": "f == 'a'", "weights": "w"},
    {"subset": "as_numeric(c) < 3"},
    {"subset": "id > 104"},
    {"contrasts": {"f": "sum", "k": "helmert"}},
)
"""Arguments beside a formula."""

ALIASED = (
    "y ~ f + twice + f:half + (1 | id)",
    "y ~ k + I(k + 1) + x + I(x - 2 * k) + (0 + k | id)",
    "y ~ f * c * b + factor(k) + (1 | id)",
    "y ~ I(0 * x) + x + (1 | id)",
)
"""Formulas in which columns determine others."""


def frame(seed=1, n=90, missing=0.05):
    """A table with a column of every kind."""
    rng = np.random.default_rng(seed)
    x, z = rng.normal(size=n), rng.normal(2.0, 3.0, size=n)
    f = rng.choice(["a", "b", "c"], n).astype(object)
    for column in (x, z):
        column[rng.random(n) < missing] = np.nan
    f[rng.random(n) < missing] = None
    ids = rng.integers(100, 110, n)
    return pd.DataFrame(
        {
            "y": rng.normal(size=n),
            "x": x,
            "z": z,
            "x2": rng.normal(size=n).astype(np.float32),
            "f": f,
            "twice": np.where(f == "b", 2.0, 0.0),
            "g": pd.Categorical(rng.choice(list("dbac"), n), ["d", "b", "a", "unused", "c"]),
            "c": pd.Categorical(rng.choice(list("vut"), n), ["v", "u", "t"]),
            "id": ids,
            "wide": rng.integers(0, 12, n) * 10**15,
            "whole": rng.integers(0, 9, n).astype(float),
            "k": rng.integers(1, 5, n).astype(np.int8),
            "half": rng.integers(0, 2, n),
            "b": rng.random(n) < 0.5,
            "day": pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 6, n), "D"),
            "w": rng.uniform(0.5, 2.0, n),
            "use": rng.random(n) < 0.8,
        }
    )


def lonely():
    """A table in which some levels occur in incomplete rows only."""
    data = frame(missing=0.0)
    data.loc[0, "f"], data.loc[0, "x"] = "0 first", np.nan
    data.loc[1, "id"], data.loc[1, "y"] = 999, np.nan
    data.loc[2, "k"], data.loc[2, "y"] = 77, np.nan
    return data


DATA = frame()
