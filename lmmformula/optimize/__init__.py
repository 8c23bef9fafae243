"""Minimizers of the profiled criterion, and the record of what they found.

The default is a safeguarded Newton method: average information far from the optimum, exact second
derivatives near it, steps taken in the full square factors of the covariances with the rotations
projected out. "Converged" is a proof, not a guess: a vanishing gradient and no negative eigenvalue
of the exact Hessian beside the rotations.

A minimizer sees the criterion through ``ObjectiveLike`` only. To add one: write a frozen settings
class with ``minimize`` and add a row to ``registry.OPTIMIZERS``; the contract tests iterate it.
"""

from lmmformula.optimize.fit import minimize
from lmmformula.optimize.foreign import Cobyqa, Lbfgsb
from lmmformula.optimize.newton import Newton
from lmmformula.optimize.records import Optimizer, Optimum, OptimumStatus, Step
from lmmformula.optimize.registry import OPTIMIZERS

__all__ = [
    "OPTIMIZERS",
    "Cobyqa",
    "Lbfgsb",
    "Newton",
    "Optimizer",
    "Optimum",
    "OptimumStatus",
    "Step",
    "minimize",
]
