"""Formulas as a flat sequence of formulaic's tokens.

formulaic's tokenizer hands out a call as one token of Python code and runs operators that follow
one another together; here calls are opened (by its own tokenizer again) and operators separated.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from formulaic.errors import FormulaicError
from formulaic.parser.algos.tokenize import tokenize
from formulaic.parser.types import Token

from lmmformula.formula.source import Source, mask

__all__ = ["Token", "tokens_of"]

Kind = Token.Kind

SYMBOLS = frozenset(("||", "&&", "**", "==", "!=", "<=", ">=", "@@", *"~|&!<>+-*/:^,="))
STRING = re.compile(r"""(["'])(?:\\.|(?!\1).)*\1""")
MODULO = "@@"
"""What ``%%`` becomes under the mask."""


def tokens_of(source: Source) -> list[Token]:
    """Return the tokens of a formula, each with its place in ``source.text``.

    Kinds are formulaic's: names (``token`` is the bare name), values (numbers and quoted strings as
    written), operators (one symbol each, ``%in%`` with its signs), context (brackets), and python
    for code in braces. A call is the name, ``(``, the tokens of its arguments, ``)``.
    """
    return list(_lex(source, mask(source), 0, len(source.text)))


def _lex(source: Source, masked: str, start: int, stop: int) -> Iterator[Token]:
    """Tokens of a part of the text."""
    try:
        raw = list(tokenize(masked[start:stop]))
    except FormulaicError as error:
        where = start + _first_quote(masked[start:stop])
        raise source.error(
            "the formula cannot be read here.", where, suggestion="an operator before the quote"
        ) from error
    for token in raw:
        begin, end = start + int(token.source_start), start + int(token.source_end) + 1
        if token.kind is Kind.OPERATOR:
            yield from _operators(source, masked, begin, end)
        elif token.kind is Kind.PYTHON and masked[begin] != "{":
            yield from _open_call(source, masked, begin, end)
        else:
            yield _atom(source, token.kind, begin, end)


def _first_quote(text: str) -> int:
    """Position of the first quote, the one thing that formulaic's tokenizer refuses by then."""
    return min((text.find(quote) for quote in "\"'" if quote in text), default=0)


def _make(source: Source, text: str, kind: Token.Kind, start: int, stop: int) -> Token:
    return Token(text, kind=kind, source=source.text, source_start=start, source_end=stop - 1)


def _atom(source: Source, kind: Token.Kind | None, start: int, stop: int) -> Token:
    """A name, number, string, bracket or code in braces, with the text that the mask hid."""
    text = source.text[start:stop]
    if text[0] == "`":
        return _make(source, text[1:], Kind.NAME, start, stop + 1)
    if text[0] == "{":
        return _make(source, text[1:], Kind.PYTHON, start, stop + 1)
    if kind is Kind.CONTEXT:
        return _make(source, text, kind, start, stop)
    if text[0] in "\"'":
        return _quoted(source, text, start, stop)
    if text[0].isdigit() or (text[0] == "." and text[1:2].isdigit()):
        return _number(source, text, start, stop)
    return _make(source, text, Kind.NAME, start, stop)


def _quoted(source: Source, text: str, start: int, stop: int) -> Token:
    """A string; the tokenizer takes what touches its end for a part of it."""
    whole = STRING.match(text)
    end = start + (whole.end() if whole else 1)
    if end < stop:
        raise source.error(
            f"an operator is missing after {source.text[start:end]}.",
            end,
            stop,
            suggestion="a comma between arguments, an operator between terms",
        )
    return _make(source, text, Kind.VALUE, start, stop)


def _number(source: Source, text: str, start: int, stop: int) -> Token:
    try:
        float(text.removesuffix("L"))
    except ValueError as error:
        raise source.error(
            f"`{text}` is neither a number nor a name.",
            start,
            stop,
            suggestion=f"backticks around a name that starts with a digit: `` `{text}` ``",
            name=text,
        ) from error
    return _make(source, text.removesuffix("L"), Kind.VALUE, start, stop)


def _operators(source: Source, masked: str, start: int, stop: int) -> Iterator[Token]:
    """Separate operators that stand next to each other (``~-``, ``+ -``)."""
    if masked[start] == "%":
        yield _make(source, masked[start : stop + 1], Kind.OPERATOR, start, stop + 1)
        return
    position = start
    while position < stop:
        if masked[position].isspace():
            position += 1
            continue
        width = 2 if masked[position : position + 2] in SYMBOLS else 1
        symbol = masked[position : position + width]
        if symbol not in SYMBOLS:
            raise _unknown(source, masked, position)
        text = "%%" if symbol == MODULO else symbol
        yield _make(source, text, Kind.OPERATOR, position, position + width)
        position += width


def _unknown(source: Source, masked: str, position: int) -> Exception:
    char = masked[position]
    advice = {
        "$": "name the column alone; the data are the second argument",
        "@": "name the column alone; the data are the second argument",
        ";": "one formula only",
    }.get(char, "the operators of a formula are + - * / : ^ %in% and |")
    return source.error(
        f"`{char}` is not an operator of formulas.", position, suggestion=advice, operator=char
    )


def _open_call(source: Source, masked: str, start: int, stop: int) -> Iterator[Token]:
    """Open ``log(x)``, which formulaic takes as one token, into its parts."""
    bracket = min(
        (masked.find(char, start, stop) for char in "([" if char in masked[start:stop]),
        default=start,
    )
    yield _atom(source, Kind.NAME, start, bracket)
    yield _make(source, masked[bracket], Kind.CONTEXT, bracket, bracket + 1)
    close = _matching(masked, bracket)
    yield from _lex(source, masked, bracket + 1, close)
    yield _make(source, masked[close], Kind.CONTEXT, close, close + 1)
    if close + 1 < stop:
        yield from _lex(source, masked, close + 1, stop)


def _matching(masked: str, start: int) -> int:
    """Position of the bracket that closes the one at ``start`` (brackets are known to balance)."""
    depth = 0
    for position in range(start, len(masked)):
        if masked[position] in "([{":
            depth += 1
        elif masked[position] in ")]}":
            depth -= 1
            if depth == 0:
                return position
    return len(masked) - 1
