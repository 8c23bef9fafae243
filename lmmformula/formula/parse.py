"""Read a mixed-model formula: lme4's random part, R's fixed part and response.

formulaic's tokenizer and its operators on terms do the reading; what is added here is R's
grammar for bars and for arithmetic. No data are needed.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path

from formulaic.parser.types import Token

from lmmformula.errors import FormulaError, FormulaWarning
from lmmformula.formula.algebra import Sum, is_arithmetic, right_hand_side
from lmmformula.formula.deparse import deparse, quoted
from lmmformula.formula.expressions import atom_of, strip_groups
from lmmformula.formula.lexer import tokens_of
from lmmformula.formula.random import bar_in, random_terms, structured_terms
from lmmformula.formula.source import Source
from lmmformula.formula.structures import is_bar
from lmmformula.formula.terms import Atom, MixedFormula, RandomTerm, TermAtoms
from lmmformula.formula.tree import Binary, Call, Group, Node, Number, Text, Unary, read, summands

__all__ = ["expand_wildcard", "parse"]

_PACKAGE = str(Path(__file__).resolve().parent.parent)
LOGICAL = frozenset({"I", "ifelse", "as.numeric", "as.integer", "factor", "as.factor"})
"""Calls in which a bar is R's "or"."""
EXAMPLE = "`y ~ x + (x | g)`"


def parse(text: str, *, require_random: bool = True) -> MixedFormula:
    """Read a mixed-model formula.

    Parameters
    ----------
    text : str
        Formula in lme4's grammar, ``"Reaction ~ Days + (Days | Subject)"``.
    require_random : bool, default True
        Refuse a formula without a random-effects term.

    Returns
    -------
    MixedFormula
        The parts, with lme4's expansions done. ``parse(str(formula)) == formula``.

    Raises
    ------
    FormulaError
        The text is not a formula of this kind. ``error.formula`` and ``error.position`` say where.

    Examples
    --------
    >>> formula = parse("strength ~ 1 + (1 | batch/cask)")
    >>> [term.text for term in formula.random]
    ['(1 | cask:batch)', '(1 | batch)']
    """
    source = Source(_one_line(text))
    try:
        return _parse(source, text.strip(), require_random=require_random)
    except RecursionError as error:
        raise FormulaError(
            "the formula is nested too deeply.",
            got=f"{len(source.text)} characters starting {source.text[:40]!r}",
            suggestion="fewer parentheses; columns computed beforehand",
        ) from error


def _parse(source: Source, text: str, *, require_random: bool) -> MixedFormula:
    left, right = _sides(source, tokens_of(source))
    response = _response(source, left)
    reader = _Reader(source)
    reader.add(right)
    fixed, terms = reader.fixed, reader.fixed.ordered()
    if require_random and not reader.random:
        raise _no_random(source, right)
    _check_response(source, response, terms)
    return MixedFormula(
        text=text,
        response=response.expr,
        fixed=right_hand_side(terms, intercept=fixed.intercept),
        random=tuple(reader.random),
        offsets=tuple(atom.expr for atom in reader.offsets),
        intercept=fixed.intercept,
        terms=terms,
        response_atom=response,
        offset_atoms=tuple(reader.offsets),
        variables=_variables(response, chain.from_iterable(terms), reader),
        wildcard=any(atom.expr == "." and not atom.variables for term in terms for atom in term),
    )


def expand_wildcard(
    formula: MixedFormula, columns: Sequence[str], groups: Sequence[str] = ()
) -> MixedFormula:
    """Replace ``.`` by all columns that are not in the response, as R does.

    Parameters
    ----------
    formula : MixedFormula
        A parsed formula; returned as it is when it has no wildcard.
    columns : sequence of str
        Names of the columns of the data, without those that hold weights or the like.
    groups : sequence of str
        Columns that group the residuals.

    Warns
    -----
    FormulaWarning
        A grouping factor is among them: it then is a fixed effect too.
    """
    if not formula.wildcard:
        return formula
    assert formula.response_atom is not None
    chosen = [name for name in columns if name not in formula.response_atom.variables]
    if not chosen:
        raise FormulaError(
            "`.` stands for all other columns, but there are none.",
            got=f"columns: {', '.join(map(str, columns))}",
            suggestion="`1` for an intercept alone",
            available=tuple(columns),
        )
    _warn_of_groups(formula, chosen, groups)
    source = Source(_one_line(formula.text))
    text = source.text
    replacement = f"({' + '.join(map(quoted, chosen))})"
    for token in reversed(tokens_of(source)):
        start = token.source_start or 0
        if token.token == "." and text[start] == ".":
            text = text[:start] + replacement + text[start + 1 :]
    return parse(text, require_random=False)


def _warn_of_groups(
    formula: MixedFormula, chosen: Sequence[str], of_residuals: Sequence[str]
) -> None:
    groups = [
        name for term in formula.random for atom in term.group_atoms for name in atom.variables
    ]
    both = [name for name in dict.fromkeys((*groups, *of_residuals)) if name in chosen]
    if not both:
        return
    names = ", ".join(f"`{name}`" for name in both)
    warnings.warn(
        FormulaWarning(
            f"`.` takes in all other columns, as in R: {names}, which groups the "
            f"{'random effects' if groups else 'residuals'}, is a fixed effect as well.",
            got=formula.text,
            suggestion=f"`. - {' - '.join(map(quoted, both))}`",
            columns=tuple(both),
        ),
        stacklevel=_user_stacklevel(),
    )


def _user_stacklevel() -> int:
    """Return the level, for the function that warns, of the first frame outside the package."""
    frame, level = sys._getframe(1), 1
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        frame, level = frame.f_back, level + 1
    return level


def _one_line(text: str) -> str:
    """Check the type of the formula; line breaks become blanks."""
    if not isinstance(text, str):
        raise FormulaError(
            "a formula is a string.", got=f"{type(text).__name__}", suggestion=EXAMPLE
        )
    line = "".join(" " if char.isspace() else char for char in text)
    if not line.strip():
        raise FormulaError("the formula is empty.", got=repr(text), suggestion=EXAMPLE)
    return line


def _sides(source: Source, tokens: list[Token]) -> tuple[Node, Node]:
    """Split at the one ``~`` and read both sides."""
    tildes = [position for position, token in enumerate(tokens) if _is_tilde(token)]
    if not tildes:
        raise source.error(
            "the formula has no `~` between the response and the terms.",
            0,
            len(source.text),
            suggestion=EXAMPLE,
        )
    if len(tildes) > 1:
        second = tokens[tildes[1]].source_start or 0
        raise source.error("a formula has one `~` only.", second, suggestion="`+` between terms")
    left, right = tokens[: tildes[0]], tokens[tildes[0] + 1 :]
    at = tokens[tildes[0]].source_start or 0
    if not left:
        raise source.error(
            "the formula has no response on the left of `~`.", at, suggestion=EXAMPLE
        )
    if not right:
        raise source.error("the formula has no terms on the right of `~`.", at, suggestion=EXAMPLE)
    return read(source, left, at), read(source, right, len(source.text))


def _is_tilde(token: Token) -> bool:
    return token.kind is Token.Kind.OPERATOR and token.token == "~"


def _response(source: Source, node: Node) -> Atom:
    """Read the left-hand side: arithmetic, not a list of terms."""
    if (bar := bar_in(node)) is not None:
        raise source.error(
            "a bar has no meaning in the response.",
            bar.at,
            suggestion="random-effects terms on the right of `~`",
        )
    inner = strip_groups(node)
    if isinstance(inner, (Number, Text)):
        raise source.error(
            "the response names no column of the data.",
            inner.start,
            inner.stop,
            suggestion="the name of a numeric column",
        )
    return atom_of(source, node)


def _check_response(source: Source, response: Atom, terms: Sequence[TermAtoms]) -> None:
    """The response cannot explain itself."""
    if all(response not in term for term in terms):
        return
    raise source.error(
        f"the response `{response.label}` is among the terms that should explain it.",
        0,
        len(source.text),
        suggestion=f"a formula without `{response.label}` on the right of `~`",
        response=response.label,
    )


class _Reader:
    """Walks the additive part of a right-hand side; bars and offsets are lifted out."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.fixed = Sum(source)
        self.random: list[RandomTerm] = []
        self.offsets: list[Atom] = []

    def add(self, node: Node) -> None:
        """Take in a sum, part by part."""
        for symbol, part in summands(node):
            if symbol == "+":
                self.part(part)
            else:
                self.refuse_bar(part)
                self.fixed.remove(part)

    def part(self, node: Node) -> None:
        """Take in one summand."""
        if isinstance(node, Group):
            self.group(node)
        elif isinstance(node, Binary) and is_bar(node):
            raise self.bare_bar(node)
        elif isinstance(node, Unary) and node.symbol == "+":
            self.part(node.operand)
        elif isinstance(node, Call) and node.function == "offset":
            self.offsets.append(self.offset(node))
        elif isinstance(node, Call) and self.is_structured(node):
            self.random.extend(structured_terms(self.source, node))
        else:
            if not is_arithmetic(node):
                self.refuse_bar(node)
            self.fixed.add(node)

    def is_structured(self, node: Call) -> bool:
        """Whether a call holds a bar that is not R's "or", as it is in ``I(a | b)``."""
        bars = any(is_bar(strip_groups(argument.value)) for argument in node.arguments)
        return bars and node.function not in LOGICAL

    def group(self, node: Group) -> None:
        """Something in parentheses: a random-effects term, or more of the sum."""
        inner = strip_groups(node)
        if isinstance(inner, Binary) and is_bar(inner):
            self.random.extend(random_terms(self.source, inner))
        elif self.lifts(node.inner):
            self.add(node.inner)
        else:
            self.fixed.add(node)

    def lifts(self, node: Node) -> bool:
        """Whether a sum in parentheses has a part that does not belong to the fixed terms."""
        for _, part in summands(node):
            inner = strip_groups(part)
            if isinstance(inner, Binary) and (
                is_bar(inner) or (inner is not part and self.lifts(inner))
            ):
                return True
            if isinstance(inner, Call) and (
                inner.function == "offset" or self.is_structured(inner)
            ):
                return True
        return False

    def offset(self, node: Call) -> Atom:
        """Read ``offset(x)``."""
        if len(node.arguments) != 1 or node.arguments[0].name is not None:
            raise self.source.error(
                "`offset()` takes one expression.",
                node.start,
                node.stop,
                suggestion="`offset(x)`; several offsets add up",
            )
        return atom_of(self.source, node.arguments[0].value)

    def refuse_bar(self, node: Node) -> None:
        """A bar inside of another operator than ``+`` cannot be meant."""
        if (bar := bar_in(node)) is not None:
            raise self.fixed.misplaced_bar(bar)

    def bare_bar(self, bar: Binary) -> FormulaError:
        """Return the error for a bar that has no parentheses around it."""
        kept, effects = "", bar.left
        if isinstance(effects, Binary) and effects.symbol == "+" and not is_bar(bar.right):
            kept, effects = f"{deparse(effects.left)} + ", effects.right
        side = f"{kept}({deparse(effects)} {bar.symbol} {deparse(bar.right)})"
        tilde = self.source.text.index("~")
        return self.source.error(
            "a random-effects term needs parentheses around its bar.",
            bar.at,
            bar.at + len(bar.symbol),
            suggestion=f"`{self.source.text[:tilde].strip()} ~ {side}`",
        )


def _no_random(source: Source, right: Node) -> FormulaError:
    return source.error(
        "the formula has no random-effects term.",
        right.start,
        right.stop,
        suggestion="add one, such as `+ (1 | g)`; a model without any has `residual=` or "
        "`variance=`, else `statsmodels.formula.api.ols` fits it",
    )


def _variables(response: Atom, fixed: Iterable[Atom], reader: _Reader) -> tuple[str, ...]:
    """Return the columns that the formula needs."""
    parts = [
        atom
        for term in reader.random
        for atom in (*chain.from_iterable(term.terms), *term.group_atoms)
    ]
    names = (
        name for atom in (response, *fixed, *reader.offsets, *parts) for name in atom.variables
    )
    return tuple(dict.fromkeys(names))
