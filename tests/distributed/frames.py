"""Pupils in classes in schools, with a few values missing; rows of a school are not together."""

from __future__ import annotations

import numpy as np
import pandas as pd


def pupils(n_schools: int = 30, seed: int = 1) -> pd.DataFrame:
    """Return rows in random order."""
    rng = np.random.default_rng(seed)
    rows = []
    for school in range(n_schools):
        intercept, slope = rng.normal(0.0, (1.0, 0.2))
        for classroom in range(rng.integers(2, 4)):
            own = rng.normal()
            for _ in range(rng.integers(4, 9)):
                x, kind = rng.normal(5.0, 2.0), rng.choice(["a", "b", "c"])
                y = 2.0 + 0.3 * x + (kind == "b") + intercept + slope * x + own + rng.normal()
                weight = rng.uniform(0.5, 2.0)
                rows.append((f"s{school}", f"c{classroom}", x, kind, y, weight, school))
    frame = pd.DataFrame(rows, columns=["school", "room", "x", "kind", "y", "w", "number"])
    frame.loc[3, "x"] = np.nan
    frame.loc[17, "kind"] = None
    return frame.sample(frac=1.0, random_state=3).reset_index(drop=True)
