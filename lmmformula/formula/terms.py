"""Records of a parsed mixed-model formula: text and terms, no data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from lmmformula.formula.deparse import quoted

__all__ = ["Atom", "MixedFormula", "RandomTerm", "TermAtoms"]


@dataclass(frozen=True, slots=True)
class Atom:
    """One indivisible factor of a term: a column of the data or a call.

    Attributes
    ----------
    expr : str
        What formulaic evaluates: a bare column name (``method="lookup"``, no backticks) or Python
        code (``method="python"``), in which a column whose name is not an identifier stands in
        backticks.
    method : {"lookup", "python"}
        How formulaic evaluates ``expr`` (``Factor.EvalMethod``).
    label : str
        How names of columns show it: as formulaic would (``I(Days ** 2)``), with a contrast
        wrapper reduced to its variable (``store`` for ``C(store, contr.sum)``).
    variables : tuple of str
        Columns of the data that it needs, in order of appearance.
    """

    expr: str
    method: Literal["lookup", "python"]
    label: str
    variables: tuple[str, ...]


TermAtoms: TypeAlias = tuple[Atom, ...]
"""The atoms of one term, in R's order; their interaction is the term."""


@dataclass(frozen=True, slots=True)
class RandomTerm:
    """One random-effects term, after lme4's expansions (``/``, ``*`` in the grouping, ``||``).

    Attributes
    ----------
    text : str
        The term as results print it, in lme4's spelling: ``(Days | Subject)``,
        ``(1 | cask:batch)``.
    effects : str
        Right-hand side that formulaic reads, with the intercept explicit (``1 + Days``,
        ``0 + Machine``).
    grouping : tuple of str
        Variables (formulaic factors) whose interaction is the grouping factor, in label order.
    structure : str
        Name of the covariance structure: ``us`` for a bare bar.
    from_double_bar : bool
        The term is one part of a ``||``; a factor among its effects then deserves a warning.
    label : str
        Label of the grouping factor where it differs from the variables joined by ``:``
        (lme4 writes ``c:(b:a)`` for the innermost factor of ``a/b/c``).
    intercept : bool
        Whether ``effects`` holds the intercept.
    terms : tuple of tuple of Atom
        The other terms of ``effects``, in R's order.
    group_atoms : tuple of Atom
        ``grouping`` as atoms.
    """

    text: str
    effects: str
    grouping: tuple[str, ...]
    structure: str = "us"
    from_double_bar: bool = False
    label: str = ""
    intercept: bool = True
    terms: tuple[TermAtoms, ...] = ()
    group_atoms: TermAtoms = ()

    @property
    def group(self) -> str:
        """Label of the grouping factor, ``cask:batch``."""
        return self.label or ":".join(self.grouping)

    @property
    def group_spelling(self) -> str:
        """The same as a formula needs it, a name with blanks in backticks."""
        single = len(self.group_atoms) == 1 and self.group_atoms[0].method == "lookup"
        return quoted(self.group) if single else self.group


@dataclass(frozen=True, slots=True)
class MixedFormula:
    """A mixed-model formula taken apart.

    Attributes
    ----------
    text : str
        The formula as the user wrote it; ``parse(text)`` gives the record back.
    response : str
        Expression of the left-hand side, in Python spelling (``1000 / rt``).
    fixed : str
        Right-hand side of the fixed effects that formulaic reads, intercept explicit.
    random : tuple of RandomTerm
        Random-effects terms in the order of the formula.
    offsets : tuple of str
        Expressions inside ``offset(...)``, in Python spelling.
    intercept : bool
        Whether ``fixed`` holds the intercept.
    terms : tuple of tuple of Atom
        The other terms of ``fixed``, in R's order: by degree, then as written, with the variables
        of an interaction in order of their first appearance.
    response_atom : Atom or None
        ``response`` as an atom.
    offset_atoms : tuple of Atom
        ``offsets`` as atoms.
    variables : tuple of str
        Columns of the data that the formula needs, in order of appearance.
    wildcard : bool
        The fixed effects hold ``.``, "all other columns": ``expand_wildcard(formula, columns)``
        replaces it once the columns are known.
    """

    text: str
    response: str
    fixed: str
    random: tuple[RandomTerm, ...]
    offsets: tuple[str, ...] = ()
    intercept: bool = True
    terms: tuple[TermAtoms, ...] = ()
    response_atom: Atom | None = None
    offset_atoms: TermAtoms = ()
    variables: tuple[str, ...] = ()
    wildcard: bool = False

    def __str__(self) -> str:
        return self.text
