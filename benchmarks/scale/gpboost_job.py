"""GPBoost on the simulated data: iterative methods for crossed grouped random effects.

It takes arrays, no formula, and has no correlated effects: a model is translated term by term, and
one that has them is refused. Its likelihood is the full one (ML).
"""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

import gpboost as gpb
import numpy as np
import pyarrow.parquet as pq

from benchmarks.contenders.base import NotSupportedError
from benchmarks.scale.reading import Reading

__all__ = ["fit"]

_TERM = re.compile(r"\(([^()|]+?)(\|\|?)([^()|]+)\)")


def terms_of(formula: str) -> tuple[list[str], list[tuple[str, tuple[str, ...]]]]:
    """Covariates of the fixed part, and (factor, columns with slopes) of every random term.

    Examples
    --------
    >>> terms_of("y ~ x + (1 + x || a) + (1 | b)")
    (['x'], [('a', ('x',)), ('b', ())])
    """
    random = []
    for effects, bar, factor in _TERM.findall(formula):
        slopes = tuple(t.strip() for t in effects.split("+") if t.strip() not in {"0", "1"})
        if slopes and bar == "|":
            raise NotSupportedError("random effects of one factor cannot be correlated")
        random.append((factor.strip(), slopes))
    fixed = _TERM.sub("", formula.partition("~")[2]).split("+")
    return [t.strip() for t in fixed if t.strip() not in {"", "0", "1"}], random


def fit(path: Path, formula: str) -> Reading:
    """Read, fit and report; reading the file is inside the clock, as for the others."""
    covariates, random = terms_of(formula)
    start = time.perf_counter()
    table = pq.read_table(path)
    y = table["y"].to_numpy()
    X = np.column_stack([np.ones(len(y)), *(table[name].to_numpy() for name in covariates)])
    groups = np.column_stack([table[factor].to_numpy() for factor, _ in random])
    slopes = [(f, name) for f, (_, names) in enumerate(random) for name in names]
    options = {}
    if slopes:
        options = {
            "group_rand_coef_data": np.column_stack([table[n].to_numpy() for _, n in slopes]),
            "ind_effect_group_rand_coef": [f + 1 for f, _ in slopes],
        }
    model = gpb.GPModel(
        group_data=groups,
        likelihood="gaussian",
        matrix_inversion_method="iterative",
        num_parallel_threads=int(os.environ.get("OMP_NUM_THREADS", "1")),
        **options,
    )
    model.fit(y=y, X=X)
    coefficients = model.get_coef(std_err=True, format_pandas=False)
    variances = np.ravel(model.get_cov_pars(std_err=False, format_pandas=False))
    seconds = time.perf_counter() - start
    names = [f"sd_Intercept|{factor}" for factor, _ in random]
    names += [f"sd_{name}|{random[f][0]}" for f, name in slopes]
    sds = dict(zip(["sigma", *names], np.sqrt(variances).tolist(), strict=True))
    fixed = ["Intercept", *covariates]
    facts = {
        "n_obs": len(y),
        "objective": 2.0 * float(model.get_current_neg_log_likelihood()),
        "evaluations": int(model._get_num_optim_iter()),
    }
    estimates = dict(zip(fixed, np.ravel(coefficients[0]).tolist(), strict=True)) | sds
    errors = dict(zip(fixed, np.ravel(coefficients[1]).tolist(), strict=True))
    return Reading(seconds, estimates, errors, facts)
