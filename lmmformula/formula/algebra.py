"""Sums of terms: R's model algebra, by formulaic's operators on formulaic's terms."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeAlias

from formulaic.parser import DefaultOperatorResolver
from formulaic.parser.types import Factor, OrderedSet, Term

from lmmformula.formula.deparse import deparse, quoted
from lmmformula.formula.expressions import atom_of
from lmmformula.formula.source import Source
from lmmformula.formula.terms import Atom, TermAtoms
from lmmformula.formula.tree import Binary, Call, Group, Name, Node, Number, Text, Unary, summands

__all__ = ["Sum", "formulaic_terms", "is_arithmetic", "right_hand_side"]

Terms: TypeAlias = "OrderedSet[Term]"

MAX_DEGREE = 30
COMPARISONS = frozenset({"==", "!=", "<", ">", "<=", ">=", "&", "&&", "%%", "%/%"})


def _formulaic_operators() -> dict[str, Callable[[Terms, Terms], Terms]]:
    """Return formulaic's infix operators on sets of terms, by R's symbols."""
    table = DefaultOperatorResolver().operator_table
    infix = {symbol: next(o for o in table[symbol] if o.arity == 2) for symbol in "*/:"}
    operators = {symbol: operator.to_terms for symbol, operator in infix.items()}
    return {**operators, "%in%": operators[":"]}


OPERATORS = _formulaic_operators()


def is_arithmetic(node: Node) -> bool:
    """Whether the outermost operator of an expression makes no sense between terms."""
    return (isinstance(node, Binary) and node.symbol in COMPARISONS) or (
        isinstance(node, Unary) and node.symbol == "!"
    )


class Sum:
    """Terms collected from the right-hand side of a formula, from left to right.

    Parameters
    ----------
    source : Source
        The formula, for messages.

    Attributes
    ----------
    intercept : bool
        Whether the constant is in; as in R, the last ``0``, ``1`` or ``-1`` decides.
    wildcard : bool
        Whether ``.`` is among the terms.
    atoms : dict of str to Atom
        Everything met, terms removed again included, in order of appearance: R orders the
        variables within an interaction by it.
    spelling : dict of str to str
        How R writes each of them.
    """

    def __init__(self, source: Source) -> None:
        self.source = source
        self.intercept = True
        self.wildcard = False
        self.atoms: dict[str, Atom] = {}
        self.spelling: dict[str, str] = {}
        self.terms: dict[Term, None] = {}

    def add(self, node: Node) -> None:
        """Add an expression's terms."""
        self.terms.update(dict.fromkeys(self.evaluate(node, sign=True)))

    def remove(self, node: Node) -> None:
        """Take an expression's terms out."""
        for term in self.evaluate(node, sign=False):
            self.terms.pop(term, None)

    def evaluate(self, node: Node, *, sign: bool) -> Terms:
        """Return the terms of an expression; constants only set the intercept."""
        if isinstance(node, Group):
            return self.evaluate(node.inner, sign=sign)
        if isinstance(node, Number):
            return self.constant(node, sign=sign)
        if isinstance(node, Unary):
            return self.signed(node, sign=sign)
        if isinstance(node, Binary):
            return (
                self.chain(node, sign=sign) if node.symbol in "+-" else self.binary(node, sign=sign)
            )
        if isinstance(node, Text):
            raise self.source.error(
                "a quoted string is not a term.",
                node.start,
                node.stop,
                suggestion="the bare name, or backticks around a name with blanks",
            )
        return self.factor(node)

    def chain(self, node: Node, *, sign: bool) -> Terms:
        """A sum inside of another operator or of parentheses."""
        terms: dict[Term, None] = {}
        for symbol, part in summands(node):
            found = self.evaluate(part, sign=sign is (symbol == "+"))
            if symbol == "+":
                terms.update(dict.fromkeys(found))
            else:
                for term in found:
                    terms.pop(term, None)
        return OrderedSet(terms)

    def constant(self, node: Number, *, sign: bool) -> Terms:
        """``0`` and ``1``; other numbers are no terms."""
        value = float(node.text)
        if value not in (0.0, 1.0):
            raise self.source.error(
                f"the number {node.text} is not a term; only 0 and 1, for the intercept, are.",
                node.start,
                node.stop,
                suggestion="`I(2 * x)` for arithmetic",
            )
        self.intercept = sign is (value == 1.0)
        return OrderedSet()

    def signed(self, node: Unary, *, sign: bool) -> Terms:
        """``+ x`` and ``- x`` with nothing before it."""
        if node.symbol == "!":
            raise self.source.error(
                "`!` is arithmetic, not a term.", node.start, suggestion="`I(!x)`", operator="!"
            )
        if node.symbol == "-":
            self.evaluate(node.operand, sign=not sign)
            return OrderedSet()
        return self.evaluate(node.operand, sign=sign)

    def binary(self, node: Binary, *, sign: bool) -> Terms:
        """Products of all kinds: two sets of terms and formulaic's operator."""
        if node.symbol in ("^", "**"):
            return self.power(node, sign=sign)
        if node.symbol in ("|", "||"):
            raise self.misplaced_bar(node)
        if node.symbol in COMPARISONS:
            raise self.source.error(
                f"`{node.symbol}` is arithmetic, not a formula operator.",
                node.at,
                suggestion="`I()` around the arithmetic, such as `I(x > 3)`",
                operator=node.symbol,
            )
        left = self.evaluate(node.left, sign=sign)
        right = self.evaluate(node.right, sign=sign)
        if left and right:
            return OPERATORS[node.symbol](left, right)
        if node.symbol == "*":
            return left or right
        raise self.source.error(
            f"`{node.symbol}` needs a variable on both sides.",
            node.start,
            node.stop,
            suggestion="`a:b` for an interaction, `a/b` for a nested one",
            operator=node.symbol,
        )

    def power(self, node: Binary, *, sign: bool) -> Terms:
        """``(a + b + c)^2``: crossing to a degree."""
        degree = node.right
        if not (isinstance(degree, Number) and degree.text.isdigit() and int(degree.text)):
            raise self.source.error(
                f"`{node.symbol}` between terms crosses them to a degree, a whole number from 1.",
                degree.start,
                degree.stop,
                suggestion=f"`I({deparse(node)})` for a power",
            )
        base = self.evaluate(node.left, sign=sign)
        out = base
        for _ in range(min(int(degree.text), len(base), MAX_DEGREE) - 1):
            out = OPERATORS["*"](out, base)
        return out

    def factor(self, node: Node) -> Terms:
        """A column, a call or ``.`` as a term."""
        if isinstance(node, Name) and node.name == "." and not node.quoted:
            self.wildcard = True
            atom = Atom(".", "lookup", ".", ())
        elif isinstance(node, Call) and node.function == "offset":
            raise self.source.error(
                "an offset can only be added to the fixed effects.",
                node.start,
                node.stop,
                suggestion=f"`+ {deparse(node)}` outside of parentheses",
            )
        elif isinstance(node, Call) and node.function == "Error":
            raise self.misplaced_strata(node)
        else:
            atom = atom_of(self.source, node)
        self.atoms.setdefault(atom.expr, atom)
        self.spelling.setdefault(atom.expr, deparse(node))
        return OrderedSet((Term([Factor(atom.expr, eval_method=atom.method)]),))

    def misplaced_strata(self, node: Call) -> Exception:
        """Return the error for the error strata of an analysis of variance in a mixed model."""
        return self.source.error(
            "`Error()` names the error strata of an analysis of variance, which `lf.aov` reads; "
            "a mixed model has random-effects terms instead.",
            node.start,
            node.stop,
            suggestion="`lf.aov(formula, data)` for the table by strata; `(1 | g)` in place of "
            "`Error(g)` for a mixed model",
        )

    def misplaced_bar(self, node: Binary) -> Exception:
        """Return the error for a bar where none can be."""
        return self.source.error(
            "a random-effects term can only be added, as a term of its own in parentheses.",
            node.start,
            node.stop,
            suggestion=f"`+ ({deparse(node)})`",
        )

    def ordered(self) -> tuple[TermAtoms, ...]:
        """Return the terms in R's order: by degree, variables by their first appearance."""
        place = {expr: position for position, expr in enumerate(self.atoms)}
        terms = [
            tuple(sorted((factor.expr for factor in term.factors), key=place.__getitem__))
            for term in self.terms
        ]
        terms.sort(key=len)
        return tuple(tuple(self.atoms[expr] for expr in term) for term in terms)


def right_hand_side(terms: Iterable[TermAtoms], *, intercept: bool) -> str:
    """Return terms as the right-hand side that formulaic reads, the intercept explicit."""
    parts = ["1" if intercept else "0"]
    parts += [":".join(_spelling(atom) for atom in term) for term in terms]
    return " + ".join(parts)


def _spelling(atom: Atom) -> str:
    """Return an atom as formulaic's parser reads it: code other than one call goes into braces."""
    if atom.expr == ".":
        return "."
    if atom.method == "lookup":
        return quoted(atom.expr)
    return atom.expr if _is_call(atom.expr) else f"{{{atom.expr}}}"


def _is_call(code: str) -> bool:
    head, bracket, _ = code.partition("(")
    if not bracket or not code.endswith(")") or not head.replace(".", "_").isidentifier():
        return False
    depth = 0
    for position, char in enumerate(code):
        depth += (char == "(") - (char == ")")
        if char == ")" and depth == 0:
            return position == len(code) - 1
    return False


def formulaic_terms(terms: Iterable[TermAtoms], *, intercept: bool) -> list[Term]:
    """Return terms as formulaic's own objects, ``1`` first where there is an intercept."""
    out = [Term([Factor("1", eval_method="literal")])] if intercept else []
    for term in terms:
        out.append(
            Term(
                Factor(atom.expr, eval_method=atom.method, metadata={"label": atom.label})
                for atom in term
            )
        )
    return out
