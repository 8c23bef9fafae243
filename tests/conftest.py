"""One BLAS thread, reproducible hypothesis runs, and the fixtures that every folder shares."""

from __future__ import annotations

import os

for _variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")

import pandas as pd  # noqa: E402 - after the thread limits
import pytest  # noqa: E402
from hypothesis import HealthCheck, settings  # noqa: E402

# The quick suite draws the same examples every time; `thorough` looks for new ones.
settings.register_profile(
    "quick",
    deadline=None,
    derandomize=True,
    max_examples=20,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile(
    "thorough", settings.get_profile("quick"), derandomize=False, max_examples=300
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))


@pytest.fixture
def sleepstudy() -> pd.DataFrame:
    """Return a fresh copy of the sleepstudy data."""
    from lmmformula.datasets import load_dataset

    return load_dataset("sleepstudy")
