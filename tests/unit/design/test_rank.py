"""R's rule: from left to right, remainder below 1e-7 of the norm."""

import numpy as np
import pytest

from lmmformula.design.rank import BLOCK_ROWS, TOLERANCE, split_by_rank, triangular_factor
from lmmformula.errors import RankWarning
from tests.unit.design.frames import design, frame


def split(X):
    return split_by_rank(X, X.T @ X)


def columns(*remainders, n=50):
    """Orthonormal first columns, then columns whose remainders are the numbers given."""
    rng = np.random.default_rng(3)
    q = np.linalg.qr(rng.normal(size=(n, 2 + len(remainders))))[0]
    rest = [q[:, 0] * 3 - q[:, 1] + r * q[:, 2 + i] * 10**0.5 for i, r in enumerate(remainders)]
    return np.column_stack([q[:, :2], *rest])


@pytest.mark.parametrize("remainder", [0.0, 1e-12, 0.9e-7, 1.1e-7, 1e-5, 1e-3, 1.0])
@pytest.mark.parametrize("scale", [1.0, 1e-120, 1e120])
def test_tolerance_is_relative_to_the_column(remainder, scale):
    X = columns(remainder)
    X[:, 2] *= scale
    found = split(X)
    assert found.dropped == ((2,) if remainder < TOLERANCE else ())
    if found.dropped:
        assert found.determined_by == ((0, 1),)


def test_later_columns_go_not_earlier_ones():
    X = columns(0.0, 1.0)
    found = split(X[:, [2, 0, 1, 3]])
    assert (found.kept, found.dropped) == ((0, 1, 3), (2,))


def test_zero_columns_and_more_columns_than_rows():
    X = np.column_stack([np.ones(3), np.zeros(3), [1.0, 2, 3], [1.0, 4, 9], [1.0, 8, 27]])
    found = split(X)
    assert (found.kept, found.dropped) == ((0, 2, 3), (1, 4))
    assert found.determined_by == ((), (0, 2, 3))
    assert split(np.empty((5, 0))).kept == ()


def test_factor_by_blocks_of_rows():
    X = np.random.default_rng(1).normal(size=(2 * BLOCK_ROWS + 7, 4))
    norms = np.linalg.norm(X, axis=0)
    R = triangular_factor(X, norms)
    assert R.shape == (4, 4)
    np.testing.assert_allclose(R.T @ R, (X / norms).T @ (X / norms), atol=1e-12)


def test_polynomials_far_from_zero_are_not_taken_for_collinear():
    x = 1000.0 + np.arange(50)
    found = split(np.column_stack([np.ones(50), x, x**2]))
    assert found.dropped == ()


def test_dropped_columns_are_named_with_their_reasons():
    data = frame(x2=lambda d: 3 * d.x - 1, f=np.tile(["u", "v"], 12), f2=np.tile(["v", "u"], 12))
    with pytest.warns(RankWarning) as caught:
        made = design("y ~ x + f + x2 + f2 + z + (1 | g)", data)
    message = caught[0].message
    assert message.columns == made.spec.dropped_columns == ("x2", "f2[T.v]")
    assert message.determined_by == {"x2": ("Intercept", "x"), "f2[T.v]": ("Intercept", "f[T.v]")}
    assert made.matrices.fixed_names == ("Intercept", "x", "f[T.v]", "z")
    terms = {term.label: term.columns for term in made.spec.fixed_terms}
    assert terms == {"Intercept": (0,), "x": (1,), "f": (2,), "x2": (), "f2": (), "z": (3,)}
    np.testing.assert_array_equal(made.matrices.X[:, 3], data["z"])
    assert made.matrices.X.flags.f_contiguous


def test_effects_share_memory_with_what_is_left_of_x():
    data = frame(x2=lambda d: 2 * d.x)
    with pytest.warns(RankWarning):
        made = design("y ~ x + x2 + z + (x + z | k)", data.assign(k=data.index % 2))
    assert made.matrices.random[0].z is made.matrices.X
