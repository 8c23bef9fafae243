"""Marginal means and slopes, and contrasts among them."""

from lmmformula.inference.marginal.accessors import MarginalAccessors
from lmmformula.inference.marginal.contrasts import MarginalContrasts
from lmmformula.inference.marginal.estimates import MarginalEstimates

__all__ = ["MarginalAccessors", "MarginalContrasts", "MarginalEstimates"]
