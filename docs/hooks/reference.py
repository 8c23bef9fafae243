"""Writes the pages of the API reference while the site is built: every public name has a place.

A name of ``lmmformula.__all__`` goes to the page of the module that defines it, a method of a
result to the page of the class that it is inherited from. What these return is described below
them. A name that no page claims stops the build, so nothing public stays undocumented.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import griffe
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

PACKAGE = "lmmformula"
RESULTS = "LinearMixedResults"


@dataclass(frozen=True)
class Topic:
    """One page: its file, title, first sentence, and the modules whose names it shows."""

    file: str
    title: str
    text: str
    modules: tuple[str, ...]


FUNCTIONS = (
    Topic("fitting", "Fitting", "From a formula and data to a fit.", ("calls", "model")),
    Topic(
        "comparing",
        "Comparing fits",
        "Tests and criteria for several fits.",
        ("inference.comparison", "inference.bootstrap"),
    ),
    Topic("designed", "Textbook designs", "Closed forms and strata.", ("classical",)),
    Topic("planning", "Planning a study", "Power and artificial data.", ("planning",)),
    Topic("tables", "Tables for papers", "Several models side by side.", ("publish",)),
    Topic("interop", "Other programs", "scikit-learn, JSON, frames, lme4.", ("interop",)),
    Topic("data", "Data", "What comes with the package, and pedigrees.", ("datasets", "design")),
    Topic("errors", "Errors and warnings", "All share `LMMError` or `LMMWarning`.", ("errors",)),
)

METHODS = (
    Topic(
        "results",
        "Estimates, tables, refits",
        "What every fit has.",
        ("results", "postfit.statistics", "postfit.row_accessors", "inference.variance"),
    ),
    Topic(
        "results-tests",
        "Tests and intervals",
        "Fixed effects, terms, and random effects taken out.",
        ("inference.effects", "inference.comparison"),
    ),
    Topic(
        "results-marginal", "Marginal means", "Means, slopes, contrasts.", ("inference.marginal",)
    ),
    Topic(
        "results-diagnostics",
        "Diagnostics",
        "What is odd about a fit, and how good it is.",
        ("inference.diagnostics.accessor", "inference.diagnostics.influence"),
    ),
    Topic(
        "results-prediction",
        "Prediction",
        "New rows, new groups, relatives.",
        ("inference.diagnostics.prediction", "postfit.relatives"),
    ),
    Topic(
        "results-likelihood",
        "Profiles and bootstrap",
        "How exact an estimate is.",
        ("inference.profile", "inference.bootstrap"),
    ),
    Topic(
        "results-equations",
        "Covariance and equations",
        "The matrices behind a fit.",
        ("inference.equations",),
    ),
    Topic(
        "results-output",
        "Pictures, reports, files",
        "What leaves Python.",
        ("report.drawn", "postfit.hooks"),
    ),
)


def on_files(files: Files, *, config: Any) -> Files:
    """Add the pages to those that are files."""
    for name, text in reference_pages().items():
        files.append(File.generated(config, f"reference/{name}.md", content=text))
    return files


def reference_pages() -> dict[str, str]:
    """Text of every page of the reference, by the name of its file."""
    package = griffe.load(PACKAGE, docstring_parser="numpy")
    names = [str(name).strip("'\"") for name in package.exports or ()]
    seen = {f"{PACKAGE}.results.{RESULTS}"}
    pages = {}
    functions = {name: package[name] for name in names if name != RESULTS and name != "plot"}
    for topic, found in _sorted_in(FUNCTIONS, functions):
        pages[topic.file] = _page(package, topic, [f"{PACKAGE}.{name}" for name in found], seen)
    methods = {
        name: member
        for name, member in package[RESULTS].all_members.items()
        if not name.startswith("_") and _home(member).docstring is not None
    }
    for topic, found in _sorted_in(METHODS, methods):
        paths = [f"{PACKAGE}.{RESULTS}.{name}" for name in found]
        pages[topic.file] = _page(package, topic, paths, seen)
    pages["results"] = _class_first(pages["results"])
    plot = package["plot"]
    drawn = [f"{PACKAGE}.plot.{str(name).strip(chr(39))}" for name in plot.exports or ()]
    pages["plots"] = _page(
        package, Topic("plots", "Plots", "Functions of `lf.plot`.", ()), drawn, seen
    )
    pages["index"] = _index(package, names)
    return pages


def _home(member: Any) -> Any:
    return member.final_target if member.is_alias else member


def _sorted_in(
    topics: tuple[Topic, ...], members: dict[str, Any]
) -> Iterator[tuple[Topic, list[str]]]:
    """Each topic with its names; every name belongs to exactly one."""
    places: dict[str, list[str]] = {topic.file: [] for topic in topics}
    for name, member in members.items():
        home = _home(member).canonical_path.removeprefix(f"{PACKAGE}.")
        claims = [
            topic.file
            for topic in topics
            if any(home == part or home.startswith(f"{part}.") for part in topic.modules)
        ]
        if len(claims) != 1:
            raise PluginError(f"docs/hooks/reference.py: {home} belongs to {claims or 'no page'}")
        places[claims[0]].append(name)
    for topic in topics:
        yield topic, places[topic.file]


def _page(package: Any, topic: Topic, paths: list[str], seen: set[str]) -> str:
    lines = [f"# {topic.title}", "", topic.text, ""]
    for path in paths:
        lines += [f"::: {path}", ""]
    returned = list(_returned(package, paths, seen))
    if returned:
        lines += ["## What these return", ""]
    for path in returned:
        lines += [f"::: {path}", "    options:", "      heading_level: 3", ""]
    return "\n".join(lines)


def _returned(package: Any, paths: list[str], seen: set[str]) -> Iterator[str]:
    """Classes that functions return, and their methods in turn."""
    waiting = list(paths)
    while waiting:
        member = _home(package[waiting.pop(0).removeprefix(f"{PACKAGE}.")])
        if member.is_class:
            waiting += [
                f"{member.path}.{name}" for name in member.all_members if not name.startswith("_")
            ]
            continue
        found = getattr(member, "returns", None) or getattr(member, "annotation", None)
        for part in found.iterate(flat=True) if isinstance(found, griffe.Expr) else ():
            path = getattr(part, "canonical_path", "")
            if not path.startswith(f"{PACKAGE}."):
                continue
            target = _home(package[path.removeprefix(f"{PACKAGE}.")])
            if target.is_class and target.path not in seen and target.docstring:
                seen.add(target.path)
                waiting.append(target.path)
                yield target.path


def _class_first(text: str) -> str:
    """Open the first page of the methods with the class itself."""
    heading, rest = text.split("\n", 1)
    pages = " · ".join(f"[{topic.title.lower()}]({topic.file}.md)" for topic in METHODS[1:])
    alone = "      members: false\n      inherited_members: false\n"
    own = f"::: {PACKAGE}.{RESULTS}\n    options:\n{alone}"
    return f"{heading}\n\nMore methods of a fit: {pages}.\n\n{own}\n{rest}"


def _index(package: Any, names: list[str]) -> str:
    lines = [
        "# Reference",
        "",
        "Public names of `lmmformula`, from its docstrings. `help(lf)` is the same in a terminal.",
        "",
        "| name | what it is |",
        "|---|---|",
    ]
    for name in sorted(names, key=lambda name: name.endswith(("Error", "Warning"))):
        member = _home(package[name])
        summary = member.docstring.value.strip().split("\n", 1)[0] if member.docstring else ""
        target = "[`plot`](plots.md)" if name == "plot" else f"[`{name}`][{PACKAGE}.{name}]"
        summary = summary.replace("|", "\\|").replace("``", "`")
        lines.append(f"| {target} | {summary} |")
    lines += ["", "| methods of a fit | what they are for |", "|---|---|"]
    lines += [f"| [{topic.title}]({topic.file}.md) | {topic.text} |" for topic in METHODS]
    return "\n".join(lines) + "\n"
