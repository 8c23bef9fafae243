"""R expressions (a response, the inside of a call) as the Python code that formulaic evaluates."""

from __future__ import annotations

import keyword
from collections.abc import Callable
from difflib import get_close_matches

import numpy as np
from formulaic.parser.algos.sanitize_tokens import sanitize_python_code
from formulaic.parser.types import Factor
from formulaic.utils.code import format_expr

from lmmformula.covariance import STRUCTURES
from lmmformula.formula.source import Source
from lmmformula.formula.terms import Atom
from lmmformula.formula.transforms import R_NAMES, TRANSFORMS
from lmmformula.formula.tree import (
    Argument,
    Binary,
    Call,
    Code,
    Group,
    Name,
    Node,
    Number,
    Text,
    Unary,
)

__all__ = ["atom_of", "strip_groups"]

CONSTANTS = {
    "TRUE": "True",
    "FALSE": "False",
    "NULL": "None",
    "NA": "np.nan",
    "NA_real_": "np.nan",
    "NaN": "np.nan",
    "Inf": "np.inf",
    "pi": "pi",
}
OPERATORS = {
    "^": "**",
    "%%": "%",
    "%/%": "//",
    "&&": "&",
    "||": "|",
}
CATEGORICAL = frozenset(
    {"factor", "as.factor", "ordered", "as.ordered", "droplevels", "C", "relevel"}
)
CODINGS = frozenset({"treatment", "sum", "poly", "helmert", "diff", "sas", "SAS"})
MODULES = ("np.", "contr.")
PLACEHOLDER = "_lmmformula_{}_"


def strip_groups(node: Node) -> Node:
    """Return what stands inside redundant parentheses."""
    while isinstance(node, Group):
        node = node.inner
    return node


def atom_of(source: Source, node: Node) -> Atom:
    """Return a column or an expression as an atom.

    Raises
    ------
    FormulaError
        The expression uses a function or an operator that is not known, or names no column.
    """
    node = strip_groups(node)
    if isinstance(node, Name):
        if node.name == "." and not node.quoted:
            message = "`.` stands for all other columns; it can only be a term of its own."
            raise source.error(message, node.start, suggestion="the names of the columns")
        if not node.quoted and node.name in CONSTANTS and node.name != "pi":
            raise _no_column(source, node)
        return Atom(node.name, "lookup", node.name, (node.name,))
    if isinstance(node, Code):
        return _python_atom(source, node)
    writer = _Writer(source)
    try:
        code = format_expr(writer.code(node))
    except SyntaxError as error:
        raise source.error(
            "this expression cannot be computed.",
            node.start,
            node.stop,
            suggestion="a column computed beforehand; arguments with plain names",
        ) from error
    if not writer.variables:
        raise _no_column(source, node)
    label = code
    if isinstance(node, Call) and node.function in CATEGORICAL:
        label = atom_of(source, _wrapped(source, node)).label
    for placeholder, (python, shown) in writer.substitutes.items():
        code = code.replace(placeholder, python)
        label = label.replace(placeholder, shown)
    return Atom(code, "python", label, tuple(writer.variables))


def _no_column(source: Source, node: Node) -> Exception:
    text = source.text[node.start : node.stop]
    return source.error(
        f"`{text}` names no column of the data.",
        node.start,
        node.stop,
        suggestion="an expression of columns; backticks around a column of that name",
    )


def _python_atom(source: Source, node: Code) -> Atom:
    """Code in braces: checked for syntax, otherwise formulaic's business."""
    try:
        code = sanitize_python_code(node.code)
    except (SyntaxError, ValueError) as error:
        raise source.error(
            "the code in braces is not a Python expression.",
            node.start,
            node.stop,
            suggestion="a single expression, such as {x.clip(0, 1)}",
        ) from error
    names = {str(name) for name in Factor(code, eval_method="python").required_variables}
    if not names:
        raise _no_column(source, node)
    return Atom(code, "python", code, tuple(sorted(names, key=code.find)))


def _wrapped(source: Source, node: Call) -> Node:
    """Return the variable inside ``factor(x, ...)`` and its kin, however deep."""
    inner = strip_groups(_first(source, node))
    if isinstance(inner, Call) and inner.function in CATEGORICAL:
        return _wrapped(source, inner)
    return inner


def _first(source: Source, node: Call) -> Node:
    """Return the first argument of a call that needs one."""
    if not node.arguments or node.arguments[0].name not in (None, "x"):
        raise source.error(
            f"`{node.function}()` needs a column.",
            node.start,
            node.stop,
            suggestion=f"`{node.function}(x)`",
        )
    return node.arguments[0].value


class _Writer:
    """Writes the Python code of a tree; collects the columns on the way."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.variables: dict[str, None] = {}
        self.substitutes: dict[str, tuple[str, str]] = {}

    def code(self, node: Node) -> str:
        """Return code, every compound part in parentheses; formatting removes the spare ones."""
        if isinstance(node, Group):
            return self.code(node.inner)
        if isinstance(node, (Number, Text)):
            return node.text
        if isinstance(node, Code):
            atom = _python_atom(self.source, node)
            self.variables.update(dict.fromkeys(atom.variables))
            return f"({self.stand_in(atom.expr, atom.label)})"
        if isinstance(node, Name):
            return self.name(node)
        if isinstance(node, Unary):
            symbol = "~" if node.symbol == "!" else node.symbol
            return f"({symbol}{self.code(node.operand)})"
        if isinstance(node, Binary):
            return self.binary(node)
        return self.call(node)

    def stand_in(self, python: str, shown: str) -> str:
        """Return an identifier to be replaced when the code has been formatted."""
        placeholder = PLACEHOLDER.format(len(self.substitutes))
        self.substitutes[placeholder] = (python, shown)
        return placeholder

    def name(self, node: Name) -> str:
        """A column, or a constant."""
        name = node.name
        if not node.quoted:
            if name in CONSTANTS:
                return CONSTANTS[name]
            if name.startswith("np.") and hasattr(np, name[3:]):
                return name
            if name == ".":
                raise atom_of_wildcard(self.source, node)
        self.variables[name] = None
        if keyword.iskeyword(name):
            raise self.source.error(
                f"`{name}` is a reserved word of Python and cannot stand inside an expression.",
                node.start,
                node.stop,
                suggestion="another name for the column",
                column=name,
            )
        return name if name.isidentifier() else self.stand_in(f"`{name}`", name)

    def binary(self, node: Binary) -> str:
        """Two operands and R's operator, in Python's spelling."""
        symbol = OPERATORS.get(node.symbol, node.symbol)
        if symbol == ":":
            return self.sequence(node)
        left, right = self.code(node.left), self.code(node.right)
        if symbol == "%in%":
            return f"isin({left}, {right})"
        return f"({left} {symbol} {right})"

    def sequence(self, node: Binary) -> str:
        """``1:3`` written out."""
        ends = [strip_groups(end) for end in (node.left, node.right)]
        numbers = [int(end.text) for end in ends if isinstance(end, Number) and end.text.isdigit()]
        if len(numbers) < 2 or abs(numbers[1] - numbers[0]) > 1000:
            raise self.source.error(
                "`:` in arithmetic counts from one whole number to another.",
                node.at,
                suggestion="`c(1, 2, 3)`; an interaction belongs outside of the call",
            )
        step = 1 if numbers[1] >= numbers[0] else -1
        return f"[{', '.join(map(str, range(numbers[0], numbers[1] + step, step)))}]"

    def call(self, node: Call) -> str:
        """A call, with R's functions under their Python names."""
        special = SPECIAL.get(node.function)
        if special is not None:
            return special(self, node)
        arguments = ", ".join(self.argument(argument) for argument in node.arguments)
        return f"{self.function(node)}({arguments})"

    def argument(self, argument: Argument) -> str:
        """``value`` or ``name=value``; dots in the name become underscores."""
        value = argument.value
        if argument.name is None:
            return self.code(value)
        if isinstance(value, Name) and value.name in ("T", "F") and not value.quoted:
            text = "True" if value.name == "T" else "False"
        else:
            text = self.code(value)
        return f"{argument.name.replace('.', '_')}={text}"

    def function(self, node: Call) -> str:
        """Name of a function that exists."""
        name = node.function
        if name in TRANSFORMS and callable(TRANSFORMS[name]):
            return name
        if name in R_NAMES:
            return self.stand_in(R_NAMES[name], name)
        if name.startswith("np.") and callable(getattr(np, name[3:], None)):
            return name
        if name.startswith("contr.") and name[6:] in CODINGS:
            return name
        raise unknown_function(self.source, node)

    def vector(self, node: Call) -> str:
        """``c(1, 2)`` as a list."""
        if any(argument.name is not None for argument in node.arguments):
            raise self.source.error(
                "names inside `c()` mean nothing here.",
                node.start,
                node.stop,
                suggestion="the values alone",
            )
        return f"[{', '.join(self.code(argument.value) for argument in node.arguments)}]"

    def categorical(self, node: Call) -> str:
        """``factor(x)``, ``relevel(x, ref = "b")`` and the like as formulaic's ``C``."""
        inner = strip_groups(_first(self.source, node))
        rest = node.arguments[1:]
        if isinstance(inner, Call) and inner.function in CATEGORICAL and not rest:
            return self.categorical(inner)
        variable = self.code(_wrapped(self.source, node))
        extra = [self.factor_option(node, argument) for argument in rest]
        if not extra and isinstance(inner, Call) and inner.function in CATEGORICAL:
            extra = [self.factor_option(inner, argument) for argument in inner.arguments[1:]]
        return f"C({', '.join([variable, *filter(None, extra)])})"

    def factor_option(self, node: Call, argument: Argument) -> str:
        """Further arguments of ``factor``, ``relevel`` and ``C``."""
        name, value = argument.name, argument.value
        if node.function == "relevel" and name in (None, "ref"):
            return f"contr.treatment(base={self.code(value)})"
        if node.function == "C" and name in (None, "contr", "contrasts"):
            return self.coding(value)
        if node.function == "C" and name == "spans_intercept":
            return self.argument(argument)
        if name == "levels" or (name is None and node.function in ("factor", "ordered")):
            return f"levels={self.code(value)}"
        if name == "ordered":
            return ""
        raise self.source.error(
            f"`{node.function}()` has no argument {f'`{name}`' if name else 'there'} in a formula.",
            value.start,
            value.stop,
            suggestion="`levels = c(...)`, or a categorical column made beforehand",
        )

    def coding(self, value: Node) -> str:
        """The contrast of ``C(x, contr.sum)``; R also takes ``sum`` and ``"contr.sum"``."""
        name = ""
        if isinstance(value, Name):
            name = value.name
        elif isinstance(value, Text):
            name = value.text[1:-1]
        short = name.removeprefix("contr.")
        if short in CODINGS:
            return f"contr.{'sas' if short == 'SAS' else short}"
        if isinstance(value, Name) and name in TRANSFORMS:
            return name
        if isinstance(value, (Call, Code)):
            return self.code(value)
        raise self.source.error(
            "this coding of a factor is not known.",
            value.start,
            value.stop,
            suggestion="`contr.sum`, `contr.treatment`, `contr.helmert`, `contr.poly`",
            available=tuple(sorted(CODINGS)),
        )


def atom_of_wildcard(source: Source, node: Name) -> Exception:
    """Return the error for ``.`` inside an expression."""
    return source.error(
        "`.` stands for all other columns; it can only be a term of its own.",
        node.start,
        suggestion="the name of a column",
    )


def unknown_function(source: Source, node: Call) -> Exception:
    """Return the error for a function that formulas do not know, with the nearest that they do."""
    if node.function == "cbind":
        return source.error(
            "a linear mixed model has one response.",
            node.start,
            node.stop,
            suggestion="one model per response",
        )
    if node.function in STRUCTURES:
        return source.error(
            f"`{node.function}()` holds a random-effects term with a bar.",
            node.start,
            node.stop,
            suggestion=f"`{node.function}(x | g)`",
            function=node.function,
        )
    known = sorted(
        {*(name for name in TRANSFORMS if callable(TRANSFORMS[name])), *R_NAMES, *SPECIAL}
    )
    close = get_close_matches(node.function, known, n=1)
    nearest = f"`{close[0]}()`, or " if close else REPLACEMENTS.get(node.function, "")
    return source.error(
        f"the function `{node.function}` is not known in formulas.",
        node.start,
        node.start + len(node.function),
        suggestion=f"{nearest}a column computed beforehand",
        function=node.function,
        available=tuple(known),
        nearest=close[0] if close else None,
    )


REPLACEMENTS = {
    "interaction": "`a:b`, or ",
    "as.character": "`factor(x)`, or ",
    "Error": "`(1 | g)`, or ",
    "s": "`ns(x, df = 4)`, or ",
}
"""What to write for some of R's functions that formulas do not know."""

SPECIAL: dict[str, Callable[[_Writer, Call], str]] = {
    "c": _Writer.vector,
    **dict.fromkeys(sorted(CATEGORICAL), _Writer.categorical),
}
