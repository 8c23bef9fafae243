"""Random-effects terms: bars, structures and lme4's expansion of ``||``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from lmmformula.covariance import STRUCTURES
from lmmformula.formula.algebra import Sum, right_hand_side
from lmmformula.formula.deparse import deparse
from lmmformula.formula.grouping import Grouping, groupings
from lmmformula.formula.source import Source
from lmmformula.formula.structures import RANDOM, RANDOM_NAMES, UNAVAILABLE, choose, is_bar
from lmmformula.formula.terms import RandomTerm, TermAtoms
from lmmformula.formula.tree import Binary, Call, Group, Node, Unary, summands

__all__ = ["bar_in", "random_terms", "structured_terms"]


def bar_in(node: Node) -> Binary | None:
    """Return the first bar of an expression, or None."""
    if isinstance(node, Group):
        return bar_in(node.inner)
    if isinstance(node, Unary):
        return bar_in(node.operand)
    if isinstance(node, Binary):
        if is_bar(node):
            return node
        parts = (
            [part for _, part in summands(node)]
            if node.symbol in ("+", "-")
            else [node.left, node.right]
        )
        return next(filter(None, map(bar_in, parts)), None)
    if isinstance(node, Call) and node.function in {*RANDOM_NAMES, *UNAVAILABLE}:
        return next(filter(None, (bar_in(argument.value) for argument in node.arguments)), None)
    return None


def structured_terms(source: Source, node: Call) -> Iterator[RandomTerm]:
    """Expand ``name(effects | group)``; the name must be a covariance structure."""
    chosen = choose(source, node, RANDOM)
    yield from random_terms(
        source, chosen.bar, structure=chosen.key, prefix=node.function, option=chosen.option
    )


def random_terms(
    source: Source, bar: Binary, structure: str = "us", prefix: str = "", option: str = ""
) -> Iterator[RandomTerm]:
    """Expand one bar into lme4's terms.

    Parameters
    ----------
    source : Source
        The formula, for messages.
    bar : Binary
        ``effects | group`` or ``effects || group``.
    structure : str
        Name of the covariance structure.
    prefix : str
        What stands before the parenthesis in the term's text.
    option : str
        What stands after the grouping factor there.
    """
    for side in (bar.left, bar.right):
        if (nested := bar_in(side)) is not None:
            raise source.error(
                "a random-effects term has one bar; here is another inside of it.",
                nested.at,
                nested.at + len(nested.symbol),
                suggestion="one term in parentheses per bar, joined by `+`",
            )
    effects = _effects(source, bar)
    if STRUCTURES[structure].over == "positions":
        _check_coordinates(source, bar, effects, prefix)
        effects.intercept = False
    elif STRUCTURES[structure].ordered:
        _check_sequence(source, bar, effects, prefix)
    groups = groupings(source, bar.right)
    if bar.symbol == "||":
        yield from _split(effects, groups)
        return
    terms = effects.ordered()
    for group in groups:
        yield _term(
            f"{prefix}({deparse(bar.left)} | {group.spelling}{option})",
            terms,
            group,
            intercept=effects.intercept,
            structure=structure,
        )


def _effects(source: Source, bar: Binary) -> Sum:
    """Read the left of a bar."""
    effects = Sum(source)
    effects.add(bar.left)
    if effects.wildcard:
        raise source.error(
            "`.` cannot be used among random effects.",
            bar.left.start,
            bar.left.stop,
            suggestion="the names of the columns",
        )
    if not effects.terms and not effects.intercept:
        raise source.error(
            "the random-effects term has no effects: the intercept is out and nothing else is in.",
            bar.left.start,
            bar.left.stop,
            suggestion=f"`(1 | {deparse(bar.right)})`",
        )
    return effects


def _check_coordinates(source: Source, bar: Binary, effects: Sum, name: str) -> None:
    """A structure over positions needs columns with coordinates, and takes no other effects."""
    terms, group = effects.ordered(), deparse(bar.right)
    if terms and all(len(term) == 1 for term in terms) and (name != "ou" or len(terms) == 1):
        return
    columns = [effects.spelling[atom.expr] for term in terms for atom in term] or ["time"]
    if not terms:
        message = f"`{name}()` needs the column that holds the times or the places."
    elif all(len(term) == 1 for term in terms):
        message = "`ou()` is over one time; several columns are coordinates of a place."
    else:
        message = f"`{name}()` takes columns of coordinates, not products of them."
    places = f"`exp(0 + {' + '.join(dict.fromkeys(columns))} | {group})`"
    time = f"`{name}(0 + {columns[0]} | {group})`"
    raise source.error(
        message,
        bar.left.start,
        bar.left.stop,
        suggestion=f"{places} for places, or {time}" if len(terms) > 1 else time,
        structure=name,
    )


def _check_sequence(source: Source, bar: Binary, effects: Sum, name: str) -> None:
    """A structure over successive times needs one factor, and no effect beside its levels."""
    terms, group = effects.ordered(), deparse(bar.right)
    if not effects.intercept and len(terms) == 1 and len(terms[0]) == 1:
        return
    columns = [effects.spelling[atom.expr] for term in terms for atom in term]
    if len(columns) == 1:
        message = (
            f"the effects of `{name}()` are the levels of a factor in the order of time; an "
            "intercept beside them has no place in it."
        )
    else:
        message = f"the effects of `{name}()` are the levels of one factor in the order of time."
    raise source.error(
        message,
        bar.left.start,
        bar.left.stop,
        suggestion=f"`{name}(0 + {columns[0] if columns else 'time'} | {group})`",
        structure=name,
    )


def _split(effects: Sum, groups: Iterable[Grouping]) -> Iterator[RandomTerm]:
    """``||``: a term for the intercept, and one without it per term of the effects."""
    groups = list(groups)
    if effects.intercept:
        for group in groups:
            yield _term(f"(1 | {group.spelling})", (), group, intercept=True, double=True)
    for term in effects.ordered():
        shown = ":".join(effects.spelling[atom.expr] for atom in term)
        for group in groups:
            text = f"(0 + {shown} | {group.spelling})"
            yield _term(text, (term,), group, intercept=False, double=True)


def _term(
    text: str,
    terms: tuple[TermAtoms, ...],
    group: Grouping,
    *,
    intercept: bool,
    structure: str = "us",
    double: bool = False,
) -> RandomTerm:
    names = tuple(atom.expr for atom in group.atoms)
    return RandomTerm(
        text=text,
        effects=right_hand_side(terms, intercept=intercept),
        grouping=names,
        structure=structure,
        from_double_bar=double,
        label=group.label if group.label != ":".join(names) else "",
        intercept=intercept,
        terms=terms,
        group_atoms=group.atoms,
    )
