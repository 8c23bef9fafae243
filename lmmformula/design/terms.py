"""Terms of one formula part in R's order, and which factors get a column per level.

R sorts terms by the number of variables in them and, within a term, variables by their first
appearance. A factor is coded by contrasts when the rest of its term is contained in an earlier
term, else by one column per level; without an intercept the first factor of the first term that
has one gets a column per level too (``terms.formula`` and ``model.matrix`` in R).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from formulaic.parser import DefaultFormulaParser
from formulaic.parser.types import Factor, Term

from lmmformula.errors import FormulaError
from lmmformula.formula.terms import MixedFormula, RandomTerm

__all__ = ["FormulaPart", "PartTerm", "full_codings", "part_of", "read_part"]

_PARSER = DefaultFormulaParser(include_intercept=False)


@dataclass(frozen=True, slots=True)
class PartTerm:
    """One term: its factors' expressions in R's order and a numeric multiplier."""

    label: str
    factors: tuple[str, ...]
    scale: float = 1.0


@dataclass(frozen=True, slots=True)
class FormulaPart:
    """The right-hand side of the fixed effects or of one random-effects term.

    Attributes
    ----------
    text : str
        What was read.
    terms : tuple of PartTerm
        Terms without the intercept, in R's order.
    intercept : bool
        Whether there is one.
    lookups : frozenset of str
        Expressions that are plain column names.
    labels : dict of str to str
        How columns and terms show an expression, where that differs from the expression.
    """

    text: str
    terms: tuple[PartTerm, ...]
    intercept: bool
    lookups: frozenset[str]
    labels: dict[str, str] = field(default_factory=dict)

    @property
    def expressions(self) -> tuple[str, ...]:
        """Every expression once, in order of appearance."""
        return tuple(dict.fromkeys(name for term in self.terms for name in term.factors))


def part_of(side: MixedFormula | RandomTerm) -> FormulaPart:
    """Return the terms of the fixed effects or of a random-effects term.

    Parameters
    ----------
    side : MixedFormula or RandomTerm
        Its ``terms`` are used as they are; a record made by hand may have the text only.
    """
    text = side.fixed if isinstance(side, MixedFormula) else side.effects
    if not side.terms:
        return read_part(text)
    atoms = {atom.expr: atom for term in side.terms for atom in term}
    return FormulaPart(
        text=text,
        terms=tuple(
            PartTerm(":".join(atom.label for atom in term), tuple(atom.expr for atom in term))
            for term in side.terms
        ),
        intercept=side.intercept,
        lookups=frozenset(name for name, atom in atoms.items() if atom.method == "lookup"),
        labels={name: atom.label for name, atom in atoms.items() if atom.label != name},
    )


def read_part(text: str) -> FormulaPart:
    """Read a right-hand side that formulaic understands.

    Parameters
    ----------
    text : str
        Such as ``1 + recipe * temperature``.
    """
    read = list(_PARSER.get_terms(text))
    order: dict[str, int] = {}
    lookups = set()
    for term in read:
        for factor in term.factors:
            order.setdefault(factor.expr, len(order))
            if factor.eval_method is Factor.EvalMethod.LOOKUP:
                lookups.add(factor.expr)
    terms: list[PartTerm] = []
    intercept = False
    for term in read:
        names, scale = _split(term, order, text)
        if names:
            terms.append(PartTerm(":".join(names), names, scale))
        else:
            intercept = intercept or scale != 0.0
    terms.sort(key=lambda term: len(term.factors))
    return FormulaPart(text, tuple(terms), intercept, frozenset(lookups))


def _split(term: Term, order: dict[str, int], text: str) -> tuple[tuple[str, ...], float]:
    """Return the expressions of a term, and the product of its literal factors."""
    scale = 1.0
    names = []
    for factor in term.factors:
        if factor.eval_method is not Factor.EvalMethod.LITERAL:
            names.append(factor.expr)
            continue
        try:
            scale *= float(factor.expr)
        except ValueError as error:
            raise FormulaError(
                f"a text constant cannot be a term of `{text}`.",
                got=factor.expr,
                suggestion="put a column name with unusual characters in backticks",
                term=factor.expr,
            ) from error
    return tuple(sorted(names, key=order.__getitem__)), scale


def full_codings(part: FormulaPart, categorical: Collection[str]) -> tuple[frozenset[str], ...]:
    """Return, per term, the categorical factors that get one column per level.

    Parameters
    ----------
    part : FormulaPart
        The terms.
    categorical : collection of str
        Expressions that are factors in the data.
    """
    out: list[set[str]] = []
    earlier: list[frozenset[str]] = []
    for term in part.terms:
        full = set()
        for name in term.factors:
            if name not in categorical:
                continue
            rest = frozenset(term.factors) - {name}
            if rest and not any(rest <= seen for seen in earlier):
                full.add(name)
        out.append(full)
        earlier.append(frozenset(term.factors))
    if not part.intercept:
        _promote_first(part, categorical, out)
    return tuple(frozenset(full) for full in out)


def _promote_first(part: FormulaPart, categorical: Collection[str], out: list[set[str]]) -> None:
    for term, full in zip(part.terms, out, strict=True):
        for name in term.factors:
            if name in categorical:
                full.add(name)
                return
