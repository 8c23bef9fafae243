"""A report of a fit as one HTML file: tables, pictures and sentences, with its style inside."""

from __future__ import annotations

import html
import os
from collections.abc import Sequence
from datetime import date
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

from lmmformula.errors import OptionError
from lmmformula.inference.effects.df import check_method
from lmmformula.inference.effects.wald import check_alpha
from lmmformula.publish.options import choice
from lmmformula.publish.sections import SECTIONS, ReportOptions, headline, paragraph

__all__ = ["report_html", "write_report"]

TYPES = ("III", "II", "I", 3, 2, 1, "3", "2", "1")


def write_report(
    results: Any,
    path: str | os.PathLike[str],
    *,
    title: str | None,
    ddf: str,
    alpha: float,
    anova: Any,
    figures: bool | Sequence[str],
) -> Path:
    """Write a report of a fit; arguments as ``LinearMixedResults.report``."""
    target = Path(path)
    if not target.parent.is_dir():
        raise OptionError(
            f"there is no folder `{target.parent}` to write the report to.",
            got=f"`{target}`",
            suggestion=f'make the folder, or `report("{target.name}")`',
            argument="path",
        )
    check_method(ddf)
    options = ReportOptions(
        results.response_name if title is None else str(title),
        ddf,
        check_alpha(alpha),
        choice("anova", anova, TYPES),
        _kinds(figures),
    )
    target.write_text(report_html(results, options), encoding="utf-8")
    return target


def _kinds(figures: bool | Sequence[str]) -> bool | tuple[str, ...]:
    if isinstance(figures, bool):
        return figures
    from lmmformula.publish.pictures import check_kinds

    return check_kinds(figures)


def report_html(results: Any, options: ReportOptions) -> str:
    """Put the sections of a report into the page.

    Parameters
    ----------
    results : LinearMixedResults
        The fit.
    options : ReportOptions

    Returns
    -------
    str
        A whole page that refers to nothing outside itself.
    """
    written = [(part, part.write(results, options)) for part in SECTIONS]
    parts = [(part, body) for part, body in written if body]
    page = Template(_resource("report.html"))
    return page.substitute(
        version=_version(),
        title=html.escape(options.title),
        style=_resource("report.css"),
        kind="Linear mixed model" if results.ngroups else "Generalised least squares",
        formula=html.escape(results.formula),
        facts="\n".join(
            f"<div><dt>{name}</dt><dd>{text}</dd></div>" for name, text in headline(results)
        ),
        remarks="\n".join(paragraph(remark, "remark") for remark in results.remarks),
        links="\n".join(f'<a href="#{part.anchor}">{part.title}</a>' for part, _ in parts),
        body="\n".join(
            f'<section id="{part.anchor}">\n<h2>{part.title}</h2>\n{body}\n</section>'
            for part, body in parts
        ),
        date=date.today().isoformat(),
    )


def _resource(name: str) -> str:
    return files("lmmformula.publish").joinpath(name).read_text(encoding="utf-8")


def _version() -> str:
    from lmmformula import __version__

    return __version__
