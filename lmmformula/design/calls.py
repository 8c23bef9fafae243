"""Calls of functions that learn from the data, inside the expressions of a formula.

formulaic keeps what such a call learned under the call's text, and hands it to one node of the
expression. Where a call is written twice (``I((x - mean(x)) * (x + mean(x)))``) the other node
would learn anew from new data; here it is computed once, and both take its value.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any

from formulaic.utils.code import format_expr, sanitize_variable_names
from formulaic.utils.stateful_transforms import stateful_eval

__all__ = ["LearningCall", "evaluated", "learning_calls"]

RECORDER = "_arguments_"
TWICE = "_twice_"


@dataclass(frozen=True, slots=True)
class LearningCall:
    """A call of a function that learns.

    Attributes
    ----------
    key : str
        Where its state is kept.
    function : str
        Name of the function.
    text : str
        The call, for messages.
    needs : frozenset of str
        Keys of the calls inside of it.
    code : str
        The call of a recorder with the same arguments.
    twice : tuple of (str, str)
        Names of repeated calls in ``code``, and what they stand for.
    whole : str
        The expression that the call is in.
    """

    key: str
    function: str
    text: str
    needs: frozenset[str]
    code: str
    twice: tuple[tuple[str, str], ...]
    whole: str

    def arguments(
        self, environment: Mapping[str, Any], state: MutableMapping[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return the arguments of the call, once what is inside of it has been learned."""
        found: list[tuple[tuple[Any, ...], dict[str, Any]]] = []
        local = _once(self.whole, environment)[1]
        for name, text in self.twice:
            local[name] = evaluated(text, local, state)
        local[RECORDER] = lambda *args, **kwargs: found.append((args, kwargs))
        stateful_eval(self.code, local, None, state, None)
        return found[0]


def evaluated(code: str, environment: Mapping[str, Any], state: MutableMapping[str, Any]) -> Any:
    """Evaluate an expression; what its functions learn goes to ``state``, or comes from there.

    Parameters
    ----------
    code : str
        A Python expression.
    environment : mapping of str to object
        Every name in it.
    state : mutable mapping
        By the text of a call; filled at fitting, read at prediction.
    """
    tree, local, twice = _once(code, environment)
    if not twice:
        return stateful_eval(code, environment, None, state, None)
    for name, text in twice.items():
        local[name] = evaluated(text, local, state)
    return stateful_eval(ast.unparse(tree), local, None, state, None)


def learning_calls(
    code: str, environment: Mapping[str, Any], whole: str | None = None
) -> list[LearningCall]:
    """Return the calls of an expression that learn, whatever is inside of them included."""
    whole = code if whole is None else whole
    tree, local, twice = _once(code, environment)
    inner = {name: learning_calls(text, local, whole) for name, text in twice.items()}
    out = [call for calls in inner.values() for call in calls]
    for node in _stateful(tree, local):
        assert isinstance(node.func, ast.Name)
        names = {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}
        used = {name: text for name, text in twice.items() if name in names}
        needs = {_key(part) for part in _stateful(node, local) if part is not node}
        needs |= {call.key for name in used for call in inner[name]}
        text = ast.unparse(node)
        for name, stands_for in used.items():
            text = text.replace(name, stands_for)
        code = ast.unparse(ast.Call(ast.Name(RECORDER, ast.Load()), node.args, node.keywords))
        call = LearningCall(
            _key(node), node.func.id, text, frozenset(needs), code, tuple(used.items()), whole
        )
        out.append(call)
    return list({call.key: call for call in out}.values())


def _once(
    code: str, environment: Mapping[str, Any]
) -> tuple[ast.expr, dict[str, Any], dict[str, str]]:
    """Replace calls that occur twice by names; return the tree, the environment, the names."""
    local = dict(environment)
    tree = ast.parse(sanitize_variable_names(code, local, {}), mode="eval").body
    twice: dict[str, str] = {}
    while True:
        texts = [ast.unparse(node) for node in _stateful(tree, local)]
        repeated = [text for text in texts if texts.count(text) > 1]
        if not repeated:
            return tree, local, twice
        text = max(repeated, key=len)
        name = TWICE + hashlib.blake2s(text.encode(), digest_size=6).hexdigest()
        twice[name] = text
        tree = _Renaming(text, name).visit(tree)


class _Renaming(ast.NodeTransformer):
    """Replaces a call by a name."""

    def __init__(self, text: str, name: str) -> None:
        self.text, self.name = text, name

    def visit_Call(self, node: ast.Call) -> ast.AST:
        if ast.unparse(node) == self.text:
            return ast.Name(self.name, ast.Load())
        return self.generic_visit(node)


def _stateful(tree: ast.AST, environment: Mapping[str, Any]) -> Iterator[ast.Call]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            function = environment.get(node.func.id)
            if getattr(function, "__is_stateful_transform__", False):
                yield node


def _key(node: ast.Call) -> str:
    """Name under which formulaic keeps the state of a call."""
    return str(format_expr(node)).replace('"', r"\\\\" + '"')
