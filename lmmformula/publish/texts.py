"""The numbers of a publication table as text."""

from __future__ import annotations

import math
from collections.abc import Iterable

from lmmformula.publish.collect import Entry, Values
from lmmformula.publish.options import Options
from lmmformula.report.table import decimal_text, p_value_text

__all__ = ["HEADINGS", "estimate_text", "headings", "statistic_text"]

HEADINGS = {"se": "SE", "df": "df", "p": "p"}
MOST_DECIMALS = 8


def headings(options: Options) -> list[str]:
    """Names of the columns of one model, statistics beside the estimate."""
    own = {"ci": f"{options.level} CI", "t": "z" if options.is_normal else "t"}
    return ["Estimate", *((HEADINGS | own)[name] for name in options.statistic)]


def decimals(entry: Entry, digits: int) -> int:
    """Decimals of a row: those asked for, more where they would wipe out a number.

    A standard error keeps one digit, and a standard deviation without one two.
    """
    if entry.kind == "coefficient":
        sizes, kept = _sizes(entry, "se") or _sizes(entry, "estimate"), 1
    elif entry.kind == "scale":
        sizes, kept = _sizes(entry, "estimate"), 2
    else:
        return digits
    if not sizes:
        return digits
    return max(digits, kept - 1 - math.floor(math.log10(min(sizes))))


def _sizes(entry: Entry, key: str) -> list[float]:
    values = (abs(float(v[key])) for v in entry.values if v is not None)
    return [size for size in values if size > 0 and math.isfinite(size)]


def estimate_text(entry: Entry, values: Values | None, options: Options) -> str:
    """The value itself, with stars where there are any to be had."""
    if values is None:
        return ""
    value = values["estimate"]
    if entry.kind == "word":
        return str(value)
    if entry.kind == "count":
        return decimal_text(value, 0)
    if entry.kind == "share":
        return _share(value, options)
    text = _number(value, decimals(entry, options.digits))
    return text + _stars(values, options) if entry.kind == "coefficient" else text


def statistic_text(name: str, entry: Entry, values: Values | None, options: Options) -> str:
    """One statistic of a coefficient: in a line of its own it says what it is."""
    if values is None or entry.kind != "coefficient":
        return ""
    is_below = options.layout == "below"
    places = decimals(entry, options.digits)
    if name == "se":
        text = _number(values["se"], places)
        return f"({text})" if is_below else text
    if name == "ci":
        return f"[{_number(values['lower'], places)}, {_number(values['upper'], places)}]"
    if name == "p":
        return _p_text(values["pvalue"], options, named=is_below)
    df = "inf" if options.is_normal else decimal_text(values["df"], 1)
    if name == "df":
        return f"df = {df}" if is_below else df
    text = decimal_text(values["statistic"], options.digits)
    letter = "z" if options.is_normal else f"t({df})"
    return f"{letter} = {text}" if is_below else text


def _number(value: float, places: int) -> str:
    if math.isnan(value):
        return "–"
    if places > MOST_DECIMALS and math.isfinite(value):
        return f"{value:.2e}"
    return decimal_text(value, places)


def _share(value: float, options: Options) -> str:
    """A number between -1 and 1; APA leaves out its zero."""
    text = _number(value, options.digits)
    if options.style == "apa" and "." in text:
        return text.replace("0.", ".", 1) if text.lstrip("-").startswith("0.") else text
    return text


def _p_text(value: float, options: Options, *, named: bool) -> str:
    if math.isnan(value):
        return "–"
    text = p_value_text(value, options.style)
    if not named:
        return text
    if text[0] in "<>":
        return f"p {text[0]} {text[1:].lstrip()}"
    return f"p = {text}"


def _stars(values: Values, options: Options) -> str:
    """The mark of the smallest p-value that the coefficient is below."""
    return _first(mark for mark, limit in options.stars if values["pvalue"] < limit)


def _first(marks: Iterable[str]) -> str:
    return next(iter(marks), "")
