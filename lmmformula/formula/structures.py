"""Names of covariance structures as formulas write them, and the words of other packages."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches

from lmmformula import covariance
from lmmformula.errors import FormulaError
from lmmformula.formula.deparse import deparse
from lmmformula.formula.expressions import strip_groups
from lmmformula.formula.source import Source
from lmmformula.formula.tree import Argument, Binary, Call, Name, Node

__all__ = [
    "RANDOM",
    "RANDOM_NAMES",
    "UNAVAILABLE",
    "Chosen",
    "Vocabulary",
    "choose",
    "is_bar",
]

UNAVAILABLE = ("gau", "mat", "rr", "propto", "equalto")
"""Structures of other packages that there are not; asking for one deserves a message of its own."""

PREFIXES = ("hom", "het")
"""How words begin that say themselves whether variances are equal."""

LOGICALS = {"TRUE": True, "T": True, "True": True, "FALSE": False, "F": False, "False": False}

RANDOM_WORDS = {
    "identity": "homdiag",
    "id": "homdiag",
    "ident": "homdiag",
    "pdident": "homdiag",
    "vc": "diag",
    "pddiag": "diag",
    "un": "us",
    "unstructured": "us",
    "pdsymm": "us",
    "corsymm": "us",
    "csh": "cs",
    "hetcs": "cs",
    "exchangeable": "homcs",
    "pdcompsymm": "homcs",
    "corcompsymm": "homcs",
    "ar": "ar1",
    "homar1": "ar1",
    "corar1": "ar1",
    "arh1": "hetar1",
    "ar1h": "hetar1",
    "arh": "hetar1",
    "toeph": "toep",
    "hettoep": "toep",
    "toeplitz": "toep",
    "car1": "ou",
    "corcar1": "ou",
    "corexp": "exp",
}
"""Other packages' words (nlme, glmmTMB, SAS), in lower case."""


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The structures that one kind of term may name.

    Attributes
    ----------
    what : str
        What they are, for messages.
    names : callable
        Returns the names that exist.
    variant : callable
        ``variant(name, hom)`` returns the name of the same structure with equal (True) or
        different (False) variances, None where there is none.
    words : mapping of str to str
        Other packages' words.
    elsewhere : mapping of str to str
        Words that belong somewhere else, with what to write (``{left}``, ``{right}`` are the two
        sides of the bar).
    apart : str
        How else to have different variances, where a structure has none.
    """

    what: str
    names: Callable[[], tuple[str, ...]]
    variant: Callable[[str, bool], str | None]
    words: Mapping[str, str]
    elsewhere: Mapping[str, str] = field(default_factory=dict)
    apart: str = ""


@dataclass(frozen=True, slots=True)
class Chosen:
    """A structure that a term asks for.

    Attributes
    ----------
    key : str
        Name of the structure.
    bar : Binary
        What stands inside.
    option : str
        ``, hom=True`` as written, for the term's text; empty without.
    hom : bool or None
        Whether variances are said to be equal.
    """

    key: str
    bar: Binary
    option: str
    hom: bool | None


RANDOM_NAMES: tuple[str, ...] = (*covariance.STRUCTURES, "identity")
"""Words that hold a random-effects term."""

RANDOM = Vocabulary(
    "covariance structure",
    lambda: tuple(covariance.STRUCTURES),
    covariance.variant,
    RANDOM_WORDS,
)
"""Structures of random effects."""


def is_bar(node: Node) -> bool:
    """Whether the node is ``effects | group``."""
    return isinstance(node, Binary) and node.symbol in ("|", "||")


def choose(source: Source, node: Call, vocabulary: Vocabulary) -> Chosen:
    """Read ``name(effects | group, hom=...)``.

    Parameters
    ----------
    source : Source
        The formula, for messages.
    node : Call
        A call with a bar among its arguments.
    vocabulary : Vocabulary
        What it may be called.

    Raises
    ------
    FormulaError
        There is no such structure or variant, or the arguments are not a bar and ``hom``.
    """
    bars = [strip_groups(argument.value) for argument in node.arguments]
    bar = next(bar for bar in bars if isinstance(bar, Binary) and is_bar(bar))
    name = "homdiag" if node.function == "identity" else node.function
    if name not in vocabulary.names():
        raise _unknown(source, node, bar, vocabulary)
    hom, written = None, ""
    for argument in node.arguments:
        if strip_groups(argument.value) is bar and argument.name is None:
            continue
        if argument.name != "hom" or written:
            raise _too_much(source, node, bar)
        hom = _logical(source, node, bar, argument)
        written = f", hom={deparse(argument.value)}"
    if bar.symbol == "||":
        raise source.error(
            f"`||` and `{node.function}()` both say which correlations there are.",
            node.start,
            node.stop,
            suggestion=f"`{node.function}({_single(bar)}{written})`",
        )
    key = name if hom is None else vocabulary.variant(name, hom)
    if key is None or (name.startswith(PREFIXES) and key != name):
        raise _no_variant(source, node, bar, vocabulary, key, "" if hom else vocabulary.apart)
    return Chosen(key, bar, written, hom)


def _single(bar: Binary) -> str:
    return f"{deparse(bar.left)} | {deparse(bar.right)}"


def _logical(source: Source, node: Call, bar: Binary, argument: Argument) -> bool:
    value = argument.value
    if isinstance(value, Name) and not value.quoted and value.name in LOGICALS:
        return LOGICALS[value.name]
    raise source.error(
        "`hom` says whether all variances are equal: it is `True` or `False`.",
        value.start,
        value.stop,
        suggestion=f"`{node.function}({_single(bar)}, hom=True)`",
        argument="hom",
    )


def _too_much(source: Source, node: Call, bar: Binary) -> FormulaError:
    return source.error(
        f"`{node.function}()` takes one term with a bar, perhaps `hom=True` or `hom=False`, and "
        "nothing else.",
        node.start,
        node.stop,
        suggestion=f"`{node.function}({_single(bar)})`",
    )


def _no_variant(
    source: Source,
    node: Call,
    bar: Binary,
    vocabulary: Vocabulary,
    other: str | None,
    apart: str,
) -> FormulaError:
    name = node.function
    message = (
        f"`hom` asks `{name}` for variances that it does not have."
        if other is None
        else f"the name `{name}` and `hom` contradict each other."
    )
    return source.error(
        message,
        node.start,
        node.stop,
        suggestion=f"`{name}({_single(bar)})`"
        + (f" or `{other}({_single(bar)})`" if other else apart),
        structure=name,
        available=vocabulary.names(),
    )


def _unknown(source: Source, node: Call, bar: Binary, vocabulary: Vocabulary) -> FormulaError:
    name, known = node.function, vocabulary.names()
    if source.text[node.start + len(name)].isspace():
        return source.error(
            f"an operator is missing between `{name}` and `({deparse(bar)})`.",
            node.start,
            node.stop,
            suggestion=f"`{name} + ({deparse(bar)})`",
        )
    plain = name.lower().replace("_", "").replace(".", "")
    nearest = vocabulary.words.get(plain)
    if nearest is None:
        close = get_close_matches(plain, known, n=1)
        nearest = close[0] if close else None
    if plain in vocabulary.words:
        message = f"the {vocabulary.what} `{name}` is called `{nearest}` here."
    elif plain in UNAVAILABLE:
        message = f"the {vocabulary.what} `{name}` is not available."
    else:
        message = f"`{name}` is not a {vocabulary.what}."
    advice = vocabulary.elsewhere.get(plain, "`{name}({left} | {right})`").format(
        name=nearest or known[0], left=deparse(bar.left), right=deparse(bar.right)
    )
    return source.error(
        f"{message} Available are {', '.join(f'`{structure}`' for structure in known)}.",
        node.start,
        node.start + len(name),
        suggestion=advice,
        structure=name,
        available=known,
        nearest=nearest,
    )
