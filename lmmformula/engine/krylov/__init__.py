"""Crossed factors without the dense block: conjugate gradients instead of a factorization.

The factor with most levels is eliminated exactly; products with what remains of the others cost one
pass over the pairs of levels that occur together. Nothing is ever as large as the square of a
number of levels.
"""

from lmmformula.engine.krylov.estimates import with_likelihood
from lmmformula.engine.krylov.evaluation import Accuracy, KrylovEvaluation
from lmmformula.engine.krylov.objective import KrylovObjective
from lmmformula.engine.krylov.prediction import RowErrors
from lmmformula.engine.krylov.system import KrylovSystem

__all__ = [
    "Accuracy",
    "KrylovEvaluation",
    "KrylovObjective",
    "KrylovSystem",
    "RowErrors",
    "with_likelihood",
]
