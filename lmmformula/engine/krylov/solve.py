"""Conjugate gradients for many right-hand sides at once.

References
----------
Hestenes and Stiefel (1952), J. Res. Nat. Bur. Stand. 49, 409-436.
Pandolfi, Papaspiliopoulos and Zanella (2024), arXiv:2411.04729 (crossed random effects).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from lmmformula._arrays import FloatArray
from lmmformula.engine.krylov.blocks import column_products
from lmmformula.errors import NumericalError

__all__ = ["Solved", "conjugate_gradients"]

Operator = Callable[[FloatArray], FloatArray]
MOST_ITERATIONS = 2_000


@dataclass(frozen=True, slots=True, eq=False)
class Solved:
    """Solutions of S x = b.

    Attributes
    ----------
    x, residual : ndarray, shape (q, m)
        With ``residual = b - S x``; b'x + x'r is then x*'S x* up to the squared error of x.
    n_iterations : int
    """

    x: FloatArray
    residual: FloatArray
    n_iterations: int


def conjugate_gradients(
    apply: Operator,
    precondition: Operator,
    right: FloatArray,
    tolerance: float,
    most_iterations: int = MOST_ITERATIONS,
) -> Solved:
    """Solve S x = b for every column of b.

    Parameters
    ----------
    apply, precondition : callable
        Products with S and with an approximate inverse of it, both positive definite.
    right : ndarray, shape (q, m)
        Overwritten.
    tolerance : float
        A column is done when its residual, in the preconditioner's norm, is this small a fraction
        of its right-hand side. Such columns take no further part.

    Raises
    ------
    NumericalError
        The limit of iterations was reached.
    """
    x, residuals = np.zeros_like(right), right
    z = precondition(right)
    size = column_products(right, z)
    goal = tolerance**2 * size
    index = np.nonzero(size > 0.0)[0]
    everything = len(index) == len(size)
    r = right if everything else right[:, index]
    p = z if everything else z[:, index]
    at, size, goal = (x if everything else x[:, index]), size[index], goal[index]
    n_iterations = 0
    while len(index):
        if n_iterations == most_iterations:
            raise _slow(most_iterations, float(np.sqrt((size / goal).max()) * tolerance))
        n_iterations += 1
        Sp = apply(p)
        alpha = size / column_products(p, Sp)
        at += alpha * p
        Sp *= alpha
        r -= Sp
        z = precondition(r)
        before, size = size, column_products(r, z)
        open_ = size > goal
        if not open_.all():
            done = index[~open_]
            x[:, done], residuals[:, done] = at[:, ~open_], r[:, ~open_]
            index, at, r, p, z = index[open_], at[:, open_], r[:, open_], p[:, open_], z[:, open_]
            size, before, goal = size[open_], before[open_], goal[open_]
        p *= size / before
        p += z
    return Solved(x, residuals, n_iterations)


def _slow(limit: int, reached: float) -> NumericalError:
    return NumericalError(
        "the conjugate gradients of the Krylov engine do not converge.",
        got=f"a relative residual of {reached:.1e} after {limit} iterations",
        suggestion='rescale the columns of the random effects, or `fit(method="exact")` if the '
        "model is small enough",
    )
