"""Mixed-model formulas: text to terms, and the functions that formulas may use."""

from lmmformula.formula.algebra import formulaic_terms
from lmmformula.formula.parse import expand_wildcard, parse
from lmmformula.formula.terms import Atom, MixedFormula, RandomTerm, TermAtoms

__all__ = [
    "Atom",
    "MixedFormula",
    "RandomTerm",
    "TermAtoms",
    "expand_wildcard",
    "formulaic_terms",
    "parse",
]
