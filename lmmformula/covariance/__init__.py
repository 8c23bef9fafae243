"""Covariance structures of random effects: parameters to matrices, and derivatives."""

from lmmformula.covariance.correlated import Correlated
from lmmformula.covariance.diagonal import Diagonal
from lmmformula.covariance.natural import NaturalParameter, parameter_names
from lmmformula.covariance.registry import STRUCTURES, StructureKind, make_structure, variant
from lmmformula.covariance.structure import Structure, semidefinite_cholesky
from lmmformula.covariance.unstructured import Unstructured

__all__ = [
    "STRUCTURES",
    "Correlated",
    "Diagonal",
    "NaturalParameter",
    "Structure",
    "StructureKind",
    "Unstructured",
    "make_structure",
    "parameter_names",
    "semidefinite_cholesky",
    "variant",
]
