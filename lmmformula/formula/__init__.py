"""Mixed-model formulas: text to terms, and the functions that formulas may use."""

from lmmformula.formula.algebra import formulaic_terms
from lmmformula.formula.parse import expand_wildcard, parse
from lmmformula.formula.residual import ResidualFormula, ResidualTerm, parse_residual
from lmmformula.formula.terms import Atom, MixedFormula, RandomTerm, TermAtoms
from lmmformula.formula.variance import VarianceTerm

__all__ = [
    "Atom",
    "MixedFormula",
    "RandomTerm",
    "ResidualFormula",
    "ResidualTerm",
    "TermAtoms",
    "VarianceTerm",
    "expand_wildcard",
    "formulaic_terms",
    "parse",
    "parse_residual",
]
