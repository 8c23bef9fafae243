"""The simulated data sets of the scale benchmark, at their full sizes."""

from __future__ import annotations

from benchmarks.scale.simulations import Factor, Simulation

__all__ = ["CLUSTERED", "CORRELATED", "CROSSED", "MOVIELENS", "RATINGS", "SMALL_RATINGS"]

CLUSTERED = Simulation(
    name="clustered",
    formula="y ~ x1 + x2 + (x1 | g)",
    n_rows=100_000_000,
    beta=(("Intercept", 1.0), ("x1", 0.5), ("x2", -0.25)),
    factors=(Factor("g", 100_000, (0.8, 0.4), ("x1",), 0.3),),
    sigma=1.5,
    seed=20261101,
)

# Popularity as in the public file of 32 million film ratings: the most frequent item has about
# 0.3 per cent of the rows, half of the items have fewer than ten; half of the users fewer than 30.
_USERS = {"exponent": 1.0, "offset": 0.001}
_ITEMS = {"exponent": 2.0, "offset": 0.005}


def _ratings(name: str, n_rows: int, n_users: int, n_items: int, seed: int) -> Simulation:
    return Simulation(
        name=name,
        formula="y ~ 1 + (1 | user) + (1 | item)",
        n_rows=n_rows,
        beta=(("Intercept", 3.5),),
        factors=(
            Factor("user", n_users, (0.45,), **_USERS),
            Factor("item", n_items, (0.5,), **_ITEMS),
        ),
        sigma=0.85,
        seed=seed,
    )


RATINGS = _ratings("ratings", 10_000_000, 200_000, 60_000, 20261102)
MOVIELENS = _ratings("movielens", 32_000_000, 330_000, 85_000, 20261103)

CROSSED = Simulation(
    name="crossed",
    formula="y ~ x + (1 + x || a) + (1 | b) + (1 | c)",
    n_rows=1_000_000,
    beta=(("Intercept", 2.0), ("x", 0.3)),
    factors=(
        Factor("a", 20_000, (0.7, 0.3), ("x",)),
        Factor("b", 3_000, (0.5,)),
        Factor("c", 500, (0.2,)),
    ),
    sigma=1.0,
    seed=20261104,
)

CORRELATED = Simulation(
    name="correlated",
    formula="y ~ x + (x | a) + (x | b) + (1 | c)",
    n_rows=1_000_000,
    beta=(("Intercept", 2.0), ("x", 0.3)),
    factors=(
        Factor("a", 20_000, (0.7, 0.3), ("x",), -0.4),
        Factor("b", 2_000, (0.5, 0.2), ("x",), 0.5),
        Factor("c", 500, (0.2,)),
    ),
    sigma=1.0,
    seed=20261105,
)

SMALL_RATINGS = Simulation(
    name="coverage",
    formula="y ~ x + (1 | user) + (1 | item)",
    n_rows=10_000,
    beta=(("Intercept", 3.5), ("x", 0.2)),
    factors=(
        Factor("user", 600, (0.5,), **_USERS),
        Factor("item", 200, (0.4,), **_ITEMS),
    ),
    sigma=0.85,
    seed=1,
)
