"""Grouping expressions, right of a bar: ``g``, ``a:b``, ``a/b/c``, ``a*b``."""

from __future__ import annotations

from typing import NamedTuple

from lmmformula.formula.deparse import deparse, quoted
from lmmformula.formula.expressions import CATEGORICAL, atom_of, strip_groups
from lmmformula.formula.source import Source
from lmmformula.formula.terms import Atom, TermAtoms
from lmmformula.formula.tree import Binary, Call, Code, Group, Name, Node, Number

__all__ = ["Grouping", "groupings"]


class Grouping(NamedTuple):
    """A grouping factor: its label in lme4's spelling and its variables in label order."""

    label: str
    atoms: TermAtoms

    @property
    def spelling(self) -> str:
        """The label as a formula needs it, a name with blanks in backticks."""
        single = len(self.atoms) == 1 and self.atoms[0].method == "lookup"
        return quoted(self.label) if single else self.label


def groupings(source: Source, node: Node) -> list[Grouping]:
    """Expand a grouping expression into lme4's grouping factors, innermost first."""
    node = strip_groups(node)
    if isinstance(node, Binary) and node.symbol == "/":
        return _nested(source, node)
    if isinstance(node, Binary) and node.symbol == "*":
        return _crossed(source, node)
    return [_single(source, node)]


def _nested(source: Source, node: Binary) -> list[Grouping]:
    """``a/b`` is ``b:a`` and ``a``; the outer part may be nested itself."""
    left = strip_groups(node.left)
    outer = (
        _nested(source, left)
        if isinstance(left, Binary) and left.symbol == "/"
        else [_single(source, left)]
    )
    inner, parent = _single(source, node.right), outer[0]
    shown = f"({parent.label})" if len(parent.atoms) > 1 else parent.spelling
    return [_join(inner, parent, f"{inner.spelling}:{shown}"), *outer]


def _crossed(source: Source, node: Binary) -> list[Grouping]:
    """``a*b`` is ``a:b``, ``b`` and ``a``: interactions of all degrees, highest first."""
    parts: list[Grouping] = []
    rest: Node = node
    while isinstance(rest, Binary) and rest.symbol == "*":
        parts.insert(0, _single(source, rest.right))
        rest = strip_groups(rest.left)
    parts.insert(0, _single(source, rest))
    out: list[tuple[int, ...]] = [()]
    for position in range(len(parts)):
        out += [(*chosen, position) for chosen in out]
    out.sort(key=lambda chosen: (len(chosen), chosen))
    return [_product([parts[i] for i in chosen]) for chosen in reversed(out) if chosen]


def _product(parts: list[Grouping]) -> Grouping:
    product = parts[0]
    for part in parts[1:]:
        product = _join(product, part, f"{product.spelling}:{part.spelling}")
    return product


def _join(first: Grouping, second: Grouping, label: str) -> Grouping:
    return Grouping(label, tuple(dict.fromkeys((*first.atoms, *second.atoms))))


def _single(source: Source, node: Node) -> Grouping:
    """A factor, or an interaction of factors in the order written."""
    node = strip_groups(node)
    if isinstance(node, Binary):
        if node.symbol not in (":", "%in%"):
            raise _not_a_factor(source, node)
        first, second = _single(source, node.left), _single(source, node.right)
        if set(first.atoms) & set(second.atoms):
            return first if set(second.atoms) <= set(first.atoms) else _union(first, second)
        shown = [
            f"({part.label})" if isinstance(side, Group) and len(part.atoms) > 1 else part.spelling
            for side, part in ((node.left, first), (node.right, second))
        ]
        return _join(first, second, ":".join(shown))
    if not isinstance(node, (Name, Call, Code)) or (
        isinstance(node, Name) and node.name == "." and not node.quoted
    ):
        raise _not_a_factor(source, node)
    atom = _plain(source, node)
    return Grouping(atom.label, (atom,))


def _union(first: Grouping, second: Grouping) -> Grouping:
    atoms = tuple(dict.fromkeys((*first.atoms, *second.atoms)))
    return Grouping(":".join(Grouping(atom.label, (atom,)).spelling for atom in atoms), atoms)


def _plain(source: Source, node: Node) -> Atom:
    """Return the atom of a factor; ``factor(g)`` is ``g``, since levels are labels anyway."""
    while (
        isinstance(node, Call)
        and node.function in CATEGORICAL
        and len(node.arguments) == 1
        and node.arguments[0].name in (None, "x")
    ):
        node = strip_groups(node.arguments[0].value)
    return atom_of(source, node)


def _not_a_factor(source: Source, node: Node) -> Exception:
    if isinstance(node, Number):
        return source.error(
            f"`{node.text}` is not a grouping factor.",
            node.start,
            node.stop,
            suggestion="the name of the column whose levels are the groups",
        )
    if isinstance(node, Binary) and node.symbol == "+":
        left, right = deparse(node.left), deparse(node.right)
        return source.error(
            "`+` does not join grouping factors.",
            node.start,
            node.stop,
            suggestion=f"one term each, `(1 | {left}) + (1 | {right})`",
            operator="+",
        )
    return source.error(
        f"`{deparse(node)}` is not a grouping factor that can be expanded.",
        node.start,
        node.stop,
        suggestion="`a:b`, `a/b/c` or `a*b` with the names of columns",
    )
