"""What a formula and the arguments beside it need of the data, before any of it is read."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from lmmformula.covariance import STRUCTURES
from lmmformula.design.calls import learning_calls
from lmmformula.design.context import FUNCTIONS
from lmmformula.design.evaluate import column_names
from lmmformula.design.inputs import argument_code
from lmmformula.design.terms import FormulaPart, part_of
from lmmformula.formula import Atom, MixedFormula

__all__ = ["Expression", "Needs", "needs_of"]


@dataclass(frozen=True, slots=True)
class Expression:
    """Something to evaluate.

    Attributes
    ----------
    name : str
        A column or a Python expression.
    lookup : bool
        Whether it is a plain column.
    where : str
        The term or the argument it stands in.
    columns : tuple of str
        Columns of the data in it.
    learns : bool
        Whether functions in it learn from the data.
    """

    name: str
    lookup: bool
    where: str
    columns: tuple[str, ...]
    learns: bool

    @property
    def is_plain(self) -> bool:
        """Whether nothing is called in it, so that the order of levels cannot matter."""
        if self.lookup:  # its name need not be an expression
            return True
        tree = ast.parse(self.name.replace("`", "_"), mode="eval")
        return not any(isinstance(node, ast.Call | ast.Attribute) for node in ast.walk(tree))


@dataclass(frozen=True, slots=True, eq=False)
class Needs:
    """Expressions of a model by the role that they play.

    Attributes
    ----------
    formula : MixedFormula
    fixed : FormulaPart
    random : tuple of FormulaPart
    effects : dict of str to Expression
        Of fixed and random effects.
    groups : dict of tuple of str to tuple of Expression
        Components of every grouping factor.
    texts : dict of tuple of str to str
        A term with that grouping factor, for messages.
    places : dict of int to tuple of Expression
        Coordinates of random-effects terms over positions.
    others : tuple of Expression
        Response, offsets, weights.
    subset : Expression or None
    columns : tuple of str
        Columns of the data in any of them.
    """

    formula: MixedFormula
    fixed: FormulaPart
    random: tuple[FormulaPart, ...]
    effects: dict[str, Expression]
    groups: dict[tuple[str, ...], tuple[Expression, ...]]
    texts: dict[tuple[str, ...], str]
    places: dict[int, tuple[Expression, ...]]
    others: tuple[Expression, ...]
    subset: Expression | None
    columns: tuple[str, ...]

    def all(self) -> Iterator[Expression]:
        """Go through every expression."""
        yield from self.effects.values()
        for components in self.groups.values():
            yield from components
        yield from self.others
        if self.subset is not None:
            yield self.subset


def needs_of(
    formula: MixedFormula, names: tuple[str, ...], *, weights: Any, offset: Any, subset: Any
) -> Needs:
    """Read a formula.

    Parameters
    ----------
    formula : MixedFormula
        Without a wildcard.
    names : tuple of str
        Columns of the data.
    weights, offset, subset : str or None
        Columns or expressions.
    """
    made = _Maker(names)
    fixed = part_of(formula)
    random = tuple(part_of(term) for term in formula.random)
    effects: dict[str, Expression] = {}
    for part, where in [(fixed, None), *zip(random, (t.text for t in formula.random), strict=True)]:
        for term in part.terms:
            for name in term.factors:
                expression = made.expression(name, name in part.lookups, where or term.label)
                effects.setdefault(name, expression)
    groups: dict[tuple[str, ...], tuple[Expression, ...]] = {}
    texts: dict[tuple[str, ...], str] = {}
    for item in formula.random:
        atoms = item.group_atoms or (None,) * len(item.grouping)
        texts.setdefault(item.grouping, item.text)
        groups[item.grouping] = tuple(
            made.of_atom(name, atom, item.text)
            for name, atom in zip(item.grouping, atoms, strict=True)
        )
    places = {
        i: tuple(effects[name] for name in part.expressions)
        for i, (item, part) in enumerate(zip(formula.random, random, strict=True))
        if STRUCTURES[item.structure].over == "positions"
    }
    asked = None if subset is None else made.argument(subset, "subset")
    others = [made.of_atom(formula.response, formula.response_atom, formula.response)]
    offsets = formula.offset_atoms or (None,) * len(formula.offsets)
    for text, atom in zip(formula.offsets, offsets, strict=True):
        others.append(made.of_atom(text, atom, f"offset({text})"))
    for given, role in ((weights, "weights"), (offset, "offset")):
        if given is not None:
            others.append(made.argument(given, role))
    known = Needs(formula, fixed, random, effects, groups, texts, places, tuple(others), asked, ())
    columns = dict.fromkeys(name for item in known.all() for name in item.columns)
    return Needs(
        formula, fixed, random, effects, groups, texts, places, tuple(others), asked, tuple(columns)
    )


class _Maker:
    def __init__(self, names: tuple[str, ...]) -> None:
        self.names = names

    def expression(self, name: str, lookup: bool, where: str) -> Expression:
        """Take an expression apart."""
        if lookup:
            return Expression(name, True, where, tuple({name} & set(self.names)), False)
        found = sorted(column_names(name) & set(self.names), key=name.find)
        return Expression(name, False, where, tuple(found), bool(learning_calls(name, FUNCTIONS)))

    def of_atom(self, text: str, atom: Atom | None, where: str) -> Expression:
        """Return a response, an offset or a component of a grouping factor."""
        lookup = text.isidentifier() if atom is None else atom.method == "lookup"
        return self.expression(text, lookup or text in self.names, where)

    def argument(self, given: str, role: str) -> Expression:
        """Return a column or an expression that an argument names."""
        if given in self.names or given.isidentifier():
            return self.expression(given, True, f"{role}={given}")
        return self.expression(argument_code(given, role), False, f"{role}={given}")
