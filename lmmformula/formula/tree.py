"""Syntax trees of R's expression grammar, read from formulaic's tokens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

from formulaic.parser.types import Operator, Token

from lmmformula.formula.source import Source

__all__ = [
    "INFIX",
    "PREFIX",
    "Argument",
    "Binary",
    "Call",
    "Code",
    "Group",
    "Name",
    "Node",
    "Number",
    "Text",
    "Unary",
    "read",
    "summands",
]

Kind = Token.Kind


class Name(NamedTuple):
    """A column, constant or function name; ``quoted`` when it stood in backticks."""

    name: str
    quoted: bool
    start: int
    stop: int


class Number(NamedTuple):
    """A number as written."""

    text: str
    start: int
    stop: int


class Text(NamedTuple):
    """A string with its quotes."""

    text: str
    start: int
    stop: int


class Code(NamedTuple):
    """Python code in braces, passed through."""

    code: str
    start: int
    stop: int


class Group(NamedTuple):
    """Something in parentheses."""

    inner: Node
    start: int
    stop: int


class Unary(NamedTuple):
    """``-x``, ``+x``, ``!x``."""

    symbol: str
    operand: Node
    start: int
    stop: int


class Binary(NamedTuple):
    """``left symbol right``; ``at`` is the place of the symbol."""

    symbol: str
    left: Node
    right: Node
    start: int
    stop: int
    at: int


class Argument(NamedTuple):
    """One argument of a call, perhaps named."""

    name: str | None
    value: Node


class Call(NamedTuple):
    """``function(arguments)``."""

    function: str
    arguments: tuple[Argument, ...]
    start: int
    stop: int


Node: TypeAlias = Name | Number | Text | Code | Group | Unary | Binary | Call


def _infix(symbols: str, precedence: float, associativity: str = "left") -> list[Operator]:
    return [
        Operator(symbol, arity=2, precedence=precedence, associativity=associativity)
        for symbol in symbols.split()
    ]


INFIX: dict[str, Operator] = {
    operator.symbol: operator
    for operator in [
        *_infix("| ||", 10),
        *_infix("& &&", 20),
        *_infix("== != < > <= >=", 40, "none"),
        *_infix("+ -", 50),
        *_infix("* /", 60),
        *_infix("%in% %% %/%", 70),
        *_infix(":", 80),
        *_infix("^ **", 100, "right"),
    ]
}
"""R's infix operators and how tightly they bind (``?Syntax`` in R)."""

PREFIX: dict[str, Operator] = {
    "!": Operator("!", arity=1, precedence=30, associativity="right", fixity="prefix"),
    "+": Operator("+", arity=1, precedence=90, associativity="right", fixity="prefix"),
    "-": Operator("-", arity=1, precedence=90, associativity="right", fixity="prefix"),
}


def read(source: Source, tokens: Sequence[Token], end: int) -> Node:
    """Read tokens as one expression.

    Parameters
    ----------
    source : Source
        The formula, for messages.
    tokens : sequence of Token
        Not empty.
    end : int
        Position just after the expression, for messages.

    Raises
    ------
    FormulaError
        Operands or operators are missing or misplaced.
    """
    reader = _Reader(source, tokens, end)
    node = reader.expression(0)
    if (token := reader.peek()) is not None:
        raise reader.unexpected(token)
    return node


class _Reader:
    """Precedence climbing over a list of tokens."""

    def __init__(self, source: Source, tokens: Sequence[Token], end: int) -> None:
        self.source = source
        self.tokens = tokens
        self.end = end
        self.position = 0

    def peek(self) -> Token | None:
        """Next token, not consumed."""
        return self.tokens[self.position] if self.position < len(self.tokens) else None

    def expression(self, floor: float) -> Node:
        """Read an expression whose operators bind more tightly than ``floor``."""
        left = self.prefix()
        while (token := self.peek()) is not None and token.kind is Kind.OPERATOR:
            operator = INFIX.get(token.token)
            if operator is None or operator.precedence <= floor:
                break
            self.position += 1
            right_to_left = operator.associativity is Operator.Associativity.RIGHT
            right = self.expression(operator.precedence - (1 if right_to_left else 0))
            left = Binary(token.token, left, right, left.start, right.stop, _start(token))
        return left

    def prefix(self) -> Node:
        """Read one operand, with the signs before it."""
        token = self.peek()
        if token is None:
            raise self.missing(self.end)
        if token.kind is Kind.OPERATOR:
            operator = PREFIX.get(token.token)
            if operator is None:
                raise self.missing(_start(token), token)
            self.position += 1
            operand = self.expression(operator.precedence - 1)
            return Unary(token.token, operand, _start(token), operand.stop)
        if token.kind is Kind.CONTEXT:
            return self.group(token)
        self.position += 1
        return self.operand(token)

    def group(self, token: Token) -> Node:
        """Read what stands in parentheses."""
        if token.token == ")":
            raise self.missing(_start(token), token)
        if token.token != "(":
            raise self.source.error(
                "square brackets mean nothing in a formula.",
                _start(token),
                suggestion="parentheses, or a column computed beforehand",
            )
        self.position += 1
        inner = self.expression(0)
        close = self.expect_close()
        return Group(inner, _start(token), _stop(close))

    def expect_close(self) -> Token:
        """Consume the closing parenthesis."""
        token = self.peek()
        if token is None or token.token != ")" or token.kind is not Kind.CONTEXT:
            raise self.unexpected(token) if token else self.missing(self.end)
        self.position += 1
        return token

    def operand(self, token: Token) -> Node:
        """Turn a token into a leaf, or into a call if a parenthesis follows."""
        start, stop = _start(token), _stop(token)
        if token.kind is Kind.PYTHON:
            return Code(token.token, start, stop)
        if token.kind is Kind.VALUE:
            leaf = Text if token.token[0] in "\"'" else Number
            return leaf(token.token, start, stop)
        following = self.peek()
        if following is not None and following.kind is Kind.CONTEXT and following.token == "(":
            self.position += 1
            return self.call(token)
        return Name(token.token, self.source.text[start] == "`", start, stop)

    def call(self, token: Token) -> Node:
        """Read the arguments of a call; its ``(`` is consumed. ``Q("a b")`` is a name."""
        arguments: list[Argument] = []
        while True:
            following = self.peek()
            if not arguments and following is not None and following.token == ")":
                break
            arguments.append(self.argument())
            following = self.peek()
            if following is None or following.token != ",":
                break
            self.position += 1
        close = self.expect_close()
        if token.token == "Q" and len(arguments) == 1 and isinstance(arguments[0].value, Text):
            return Name(arguments[0].value.text[1:-1], True, _start(token), _stop(close))
        return Call(token.token, tuple(arguments), _start(token), _stop(close))

    def argument(self) -> Argument:
        """Read ``value`` or ``name = value``."""
        name = None
        ahead = self.tokens[self.position : self.position + 2]
        if len(ahead) == 2 and ahead[0].kind is Kind.NAME and ahead[1].token == "=":
            name = ahead[0].token
            if not name.replace(".", "_").isidentifier():
                raise self.source.error(
                    f"`{name}` is not the name of an argument.",
                    _start(ahead[0]),
                    suggestion="`argument = value`, `==` to compare",
                )
            self.position += 2
        return Argument(name, self.expression(0))

    def missing(self, position: int, token: Token | None = None) -> Exception:
        """Return the error for an operand that is not there; ``token`` is there instead."""
        before = self.tokens[self.position - 1] if self.position else None
        if _is_bar(before) and _is_bar(token):
            return self.source.error(
                "there are more than two bars in a row.",
                position,
                suggestion="`(x | g)`, or `(x || g)` for effects without correlations",
            )
        after = f"after `{before.token}`" if before is not None else "here"
        if _is_bar(before):
            message = "the bar has no grouping factor after it."
            suggestion = "`(1 | g)` with the name of the grouping factor for `g`"
        elif _is_bar(token):
            message = "the bar has no effects before it."
            suggestion = "`(1 | g)` for a random intercept"
        else:
            message = f"something is missing {after}."
            suggestion = "a term there, or take the operator or bracket away"
        return self.source.error(message, position, suggestion=suggestion)

    def unexpected(self, token: Token) -> Exception:
        """Return the error for a token where an operator should be."""
        start, stop = _start(token), _stop(token)
        if token.token == "=":
            return self.source.error(
                "`=` names an argument of a call; it is no operator of formulas.",
                start,
                suggestion="`~` between response and terms, `==` to compare",
            )
        if token.token == ",":
            return self.source.error(
                "a comma separates arguments of a call only.", start, suggestion="`+` between terms"
            )
        if token.token == "[":
            message = "columns cannot be indexed in a formula."
            return self.source.error(message, start, suggestion="a column computed beforehand")
        if self.position and token.kind is Kind.OPERATOR:
            return self.source.error(
                f"`{token.token}` cannot stand here.",
                start,
                stop,
                suggestion="parentheses that say what belongs together",
            )
        before = self.tokens[self.position - 1]
        return self.source.error(
            f"an operator is missing between `{before.token}` and `{token.token}`.",
            start,
            stop,
            suggestion="`+` to add a term, `:` for an interaction, backticks around one name",
        )


def summands(node: Node) -> list[tuple[str, Node]]:
    """Take a chain of ``+`` and ``-`` apart, however long: ``a + b - c`` by sign, in order."""
    parts: list[tuple[str, Node]] = []
    while isinstance(node, Binary) and node.symbol in ("+", "-"):
        parts.append((node.symbol, node.right))
        node = node.left
    parts.append(("+", node))
    return parts[::-1]


def _is_bar(token: Token | None) -> bool:
    return token is not None and token.kind is Kind.OPERATOR and token.token in ("|", "||")


def _start(token: Token) -> int:
    return int(token.source_start)


def _stop(token: Token) -> int:
    return int(token.source_end) + 1
