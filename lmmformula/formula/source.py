"""The text of a formula, with errors that point at a place in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lmmformula.errors import FormulaError

__all__ = ["Source", "mask"]

OPENERS = {"(": ")", "[": "]", "{": "}"}
CLOSERS = {closer: opener for opener, closer in OPENERS.items()}
WINDOW = 90


@dataclass(frozen=True, slots=True)
class Source:
    """Text of a formula on one line.

    Attributes
    ----------
    text : str
        The formula; line breaks are blanks, so that positions count characters.
    """

    text: str

    def error(
        self, message: str, start: int, stop: int | None = None, *, suggestion: str, **facts: Any
    ) -> FormulaError:
        """Return an error whose second part shows the formula with a caret line below it.

        Parameters
        ----------
        message : str
            First sentence.
        start, stop : int
            The characters at fault; ``stop`` is exclusive, one character when None.
        suggestion : str
            What to write instead.
        **facts
            Attributes of the error besides ``formula`` and ``position``.
        """
        width = max(1, (start + 1 if stop is None else stop) - start)
        left = max(0, start - WINDOW // 2) if len(self.text) > WINDOW else 0
        shown = self.text[left : left + WINDOW]
        head, tail = ("... " if left else ""), ("" if left + WINDOW >= len(self.text) else " ...")
        pad = " " * (len("Got: ") + len(head) + start - left)
        carets = "^" * min(width, max(1, len(shown) - (start - left)))
        return FormulaError(
            message,
            got=f"{head}{shown}{tail}\n{pad}{carets}",
            suggestion=suggestion,
            formula=self.text,
            position=start,
            **facts,
        )


def mask(source: Source) -> str:
    """Blank out what a formula's tokenizer must not interpret, keeping every position.

    The insides of quotes and backticks become ``x``, the sign of an exponent (``1e-5``) becomes
    a digit and ``%%`` becomes ``@@``. Quotes and brackets that do not close raise here.
    """
    text, out = source.text, list(source.text)
    stack: list[tuple[str, int]] = []
    position = 0
    while position < len(text):
        char = text[position]
        if char in "\"'`":
            position = _mask_quoted(source, out, position)
            continue
        if _starts_number(text, position):
            position = _mask_number(text, out, position)
            continue
        if char in OPENERS:
            stack.append((char, position))
        elif char in CLOSERS:
            _close(source, stack, char, position)
        elif char == "%" and text[position : position + 2] == "%%":
            out[position : position + 2] = "@@"
            position += 1
        position += 1
    if stack:
        opener, start = stack[-1]
        raise source.error(
            f"the `{opener}` is never closed.",
            start,
            suggestion=f"add the missing `{OPENERS[opener]}`",
        )
    return "".join(out)


def _starts_number(text: str, position: int) -> bool:
    """Whether a number starts here, rather than a name such as ``x1`` going on."""
    before = text[position - 1] if position else " "
    if before.isalnum() or before in "_.":
        return False
    return text[position].isdigit() or (
        text[position] == "." and text[position + 1 : position + 2].isdigit()
    )


def _mask_quoted(source: Source, out: list[str], start: int) -> int:
    """Mask from a quote to its end; return the position after it."""
    text, quote = source.text, source.text[start]
    stop = start + 1
    while stop < len(text) and text[stop] != quote:
        stop += 2 if text[stop] == "\\" and quote != "`" else 1
    if stop >= len(text):
        raise source.error(
            f"the quote {quote} is never closed.", start, suggestion=f"add the missing {quote}"
        )
    if quote == "`" and stop == start + 1:
        raise source.error(
            "the backticks hold no name.",
            start,
            stop + 1,
            suggestion="`my column` between backticks",
        )
    out[start + 1 : stop] = "x" * (stop - start - 1)
    return stop + 1


def _mask_number(text: str, out: list[str], start: int) -> int:
    """Pass over a number; hide the sign of its exponent."""
    stop = start
    while stop < len(text) and (text[stop].isdigit() or text[stop] == "."):
        stop += 1
    exponent, sign, digit = text[stop : stop + 1], text[stop + 1 : stop + 2], text[stop + 2 :][:1]
    if exponent in ("e", "E") and sign in ("+", "-") and digit.isdigit():
        out[stop + 1] = "0"
        stop += 2
    return max(stop, start + 1)


def _close(source: Source, stack: list[tuple[str, int]], char: str, position: int) -> None:
    if not stack:
        raise source.error(
            f"the `{char}` closes nothing.",
            position,
            suggestion=f"remove it, or add the `{CLOSERS[char]}` that it should close",
        )
    opener, start = stack.pop()
    if OPENERS[opener] != char:
        raise source.error(
            f"the `{opener}` is closed by `{char}`.",
            start,
            position + 1,
            suggestion=f"`{OPENERS[opener]}` in place of `{char}`",
        )
