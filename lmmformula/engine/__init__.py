"""The engine: arrays in; criterion, derivatives and estimates out. It knows no formula."""

from lmmformula.engine.alternative import AlternativeSystem, AnySystem
from lmmformula.engine.estimates import (
    Estimates,
    conditional_covariances,
    estimate,
    estimates_at,
)
from lmmformula.engine.information import (
    KenwardRogerPieces,
    VarianceInformation,
    kenward_roger_pieces,
    variance_information,
)
from lmmformula.engine.monte_carlo import MonteCarlo, difference_error
from lmmformula.engine.objective import Objective
from lmmformula.engine.summation import DataSums, sum_products
from lmmformula.engine.system import BlockedSystem, arranged, assemble, replace_response

__all__ = [
    "AlternativeSystem",
    "AnySystem",
    "BlockedSystem",
    "DataSums",
    "Estimates",
    "KenwardRogerPieces",
    "MonteCarlo",
    "Objective",
    "VarianceInformation",
    "arranged",
    "assemble",
    "conditional_covariances",
    "difference_error",
    "estimate",
    "estimates_at",
    "kenward_roger_pieces",
    "replace_response",
    "sum_products",
    "variance_information",
]
