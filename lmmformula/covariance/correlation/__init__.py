"""Families of correlation functions, shared by random effects and residuals."""

from lmmformula.covariance.correlation.base import Correlation, EffectsCorrelation, Indexed
from lmmformula.covariance.correlation.continuous import ContinuousAutoRegressive, Exponential
from lmmformula.covariance.correlation.discrete import Arma, AutoRegressive, Toeplitz
from lmmformula.covariance.correlation.exchangeable import CompoundSymmetry, Independent
from lmmformula.covariance.correlation.natural import NaturalCoordinates, NaturalEffects
from lmmformula.covariance.correlation.unstructured import UnstructuredCorrelation

__all__ = [
    "Arma",
    "AutoRegressive",
    "CompoundSymmetry",
    "ContinuousAutoRegressive",
    "Correlation",
    "EffectsCorrelation",
    "Exponential",
    "Independent",
    "Indexed",
    "NaturalCoordinates",
    "NaturalEffects",
    "Toeplitz",
    "UnstructuredCorrelation",
]
