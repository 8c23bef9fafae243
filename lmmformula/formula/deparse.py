"""Syntax trees as R prints them: the spelling of lme4's term labels."""

from __future__ import annotations

from lmmformula.formula.tree import Binary, Call, Code, Group, Name, Node, Unary, summands

__all__ = ["deparse", "quoted"]

TIGHT = frozenset({":", "^", "**", "/"})
SPECIAL_WORDS = frozenset({"TRUE", "FALSE", "NULL", "NA", "Inf", "NaN", "."})


def quoted(name: str) -> str:
    """Return a column name as a formula needs it: in backticks unless it is a plain name."""
    plain = (
        name.replace(".", "_").replace("_", "a").isalnum()
        and not name[0].isdigit()
        and name[0] != "_"
        and not (name[0] == "." and name[1:2].isdigit())
    )
    return name if plain and name not in SPECIAL_WORDS else f"`{name}`"


def deparse(node: Node) -> str:
    """Return the tree as R's ``deparse`` writes it, with normal spacing."""
    if isinstance(node, Name):
        return quoted(node.name) if node.quoted else node.name
    if isinstance(node, Group):
        return f"({deparse(node.inner)})"
    if isinstance(node, Unary):
        return f"{node.symbol}{deparse(node.operand)}"
    if isinstance(node, Binary) and node.symbol in ("+", "-"):
        (_, first), *rest = summands(node)
        return deparse(first) + "".join(f" {symbol} {deparse(part)}" for symbol, part in rest)
    if isinstance(node, Binary):
        space = "" if node.symbol in TIGHT else " "
        symbol = "^" if node.symbol == "**" else node.symbol
        return f"{deparse(node.left)}{space}{symbol}{space}{deparse(node.right)}"
    if isinstance(node, Call):
        parts = [
            deparse(argument.value)
            if argument.name is None
            else f"{argument.name} = {deparse(argument.value)}"
            for argument in node.arguments
        ]
        return f"{node.function}({', '.join(parts)})"
    if isinstance(node, Code):
        return f"{{{node.code}}}"
    return node.text
