"""Random-effects terms: bars, structures and lme4's expansion of ``||``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from difflib import get_close_matches

from lmmformula.covariance import STRUCTURES
from lmmformula.formula.algebra import Sum, right_hand_side
from lmmformula.formula.deparse import deparse
from lmmformula.formula.expressions import strip_groups
from lmmformula.formula.grouping import Grouping, groupings
from lmmformula.formula.source import Source
from lmmformula.formula.terms import RandomTerm, TermAtoms
from lmmformula.formula.tree import Binary, Call, Group, Node, Unary, summands

__all__ = ["bar_in", "is_bar", "random_terms", "structured_terms"]

PLANNED = ("cs", "ar1", "toep", "homdiag", "homcs", "homtoep", "hetar1", "ou", "exp", "gau", "rr")
"""Structures that other packages have; asking for one deserves a message of its own."""


def is_bar(node: Node) -> bool:
    """Whether the node is ``effects | group``."""
    return isinstance(node, Binary) and node.symbol in ("|", "||")


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
    if isinstance(node, Call) and node.function in {*STRUCTURES, *PLANNED}:
        return next(filter(None, (bar_in(argument.value) for argument in node.arguments)), None)
    return None


def structured_terms(source: Source, node: Call) -> Iterator[RandomTerm]:
    """Expand ``name(effects | group)``; the name must be a covariance structure."""
    bars = [strip_groups(argument.value) for argument in node.arguments]
    bar = next(bar for bar in bars if isinstance(bar, Binary) and is_bar(bar))
    if node.function not in STRUCTURES:
        raise _unknown_structure(source, node, bar)
    if len(node.arguments) > 1 or node.arguments[0].name is not None:
        raise source.error(
            f"`{node.function}()` takes one random-effects term and nothing else.",
            node.start,
            node.stop,
            suggestion=f"`{node.function}({deparse(bar)})`",
        )
    if bar.symbol == "||":
        raise source.error(
            f"`||` and `{node.function}()` both say which correlations there are.",
            node.start,
            node.stop,
            suggestion=f"`{node.function}({deparse(bar.left)} | {deparse(bar.right)})`",
        )
    yield from random_terms(source, bar, structure=node.function, prefix=node.function)


def _unknown_structure(source: Source, node: Call, bar: Binary) -> Exception:
    name, known = node.function, tuple(STRUCTURES)
    if source.text[node.start + len(name)].isspace():
        return source.error(
            f"an operator is missing between `{name}` and `({deparse(bar)})`.",
            node.start,
            node.stop,
            suggestion=f"`{name} + ({deparse(bar)})`",
        )
    close = get_close_matches(name.lower(), known, n=1)
    best = close[0] if close else known[0]
    message = (
        f"the covariance structure `{name}` is not available."
        if name in PLANNED
        else f"`{name}` is not a covariance structure."
    )
    return source.error(
        f"{message} Available are {', '.join(f'`{structure}`' for structure in known)}.",
        node.start,
        node.start + len(name),
        suggestion=f"`{best}({deparse(bar)})`",
        structure=name,
        available=known,
        nearest=close[0] if close else None,
    )


def random_terms(
    source: Source, bar: Binary, structure: str = "us", prefix: str = ""
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
    groups = groupings(source, bar.right)
    if bar.symbol == "||":
        yield from _split(effects, groups)
        return
    terms = effects.ordered()
    for group in groups:
        yield _term(
            f"{prefix}({deparse(bar.left)} | {group.spelling})",
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
