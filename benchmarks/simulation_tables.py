"""Tables of the simulation study, from the counts of its chunks."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd

__all__ = ["publish"]

NOMINAL = {"size": 5.0, "coverage": 95.0, "prediction": 95.0}
LABELS = {
    "wald": "normal",
    "satterthwaite": "Satterthwaite",
    "kenward-roger": "Kenward-Roger",
    "kenward-roger-observed": "Kenward-Roger, observed",
    "CR2": "CR2, Satterthwaite",
    "LRT": "LRT (ML), chi-square",
    "LRT, same data sets": "LRT (ML), chi-square, same data sets",
    "bootstrap LRT": "LRT (ML), parametric bootstrap",
    "profile": "profile",
    "bootstrap percentile": "percentile",
    "bootstrap basic": "basic",
    "bootstrap bca": "BCa",
    "bootstrap normal": "normal, less bias",
    "bootstrap shortest": "shortest",
}
KEYS = ["design", "part", "kind", "target", "method"]


def publish(folder: Path, page: Path | None) -> None:
    """Write the tables of a study.

    Parameters
    ----------
    folder : Path
        Holds ``counts.csv``; gets ``size.csv, coverage.csv, states.csv, tables.md``.
    page : Path or None
        A Markdown page with ``<!-- table NAME -->`` ... ``<!-- end NAME -->``.
    """
    counts = pd.read_csv(folder / "counts.csv")
    total = counts.groupby(KEYS, sort=False)[["data_sets", "defined", "count"]].sum().reset_index()
    states = total[total["kind"] == "state"].drop(columns="kind")
    shares = _shares(total[total["kind"] != "state"])
    is_size = shares["kind"] == "size"
    shares[is_size].drop(columns="kind").to_csv(folder / "size.csv", index=False)
    shares[~is_size].to_csv(folder / "coverage.csv", index=False)
    states.to_csv(folder / "states.csv", index=False)
    is_boot = shares["part"] == "bootstrap"
    tables = {
        "size": _wide(_distinct(shares[is_size]), ["method"], "design"),
        "coverage": _wide(
            shares[(shares["kind"] == "coverage") & ~is_boot], ["design", "target"], "method"
        ),
        "bootstrap": _wide(
            shares[(shares["kind"] == "coverage") & is_boot], ["design", "target"], "method"
        ),
        "prediction": _wide(shares[shares["kind"] == "prediction"], ["design", "target"], "method"),
        "states": _states(states),
        "undefined": _undefined(shares),
        "numbers": _numbers(shares),
    }
    text = "\n\n".join(f"## {name}\n\n{table}" for name, table in tables.items())
    (folder / "tables.md").write_text(text + "\n")
    if page is not None:
        _insert(page, tables)


def _shares(total: pd.DataFrame) -> pd.DataFrame:
    """Per cent of the defined outcomes, and two Monte Carlo errors at the nominal value."""
    nominal = total["kind"].map(NOMINAL)
    percent = 100.0 * total["count"] / total["defined"]
    twice = 2.0 * np.sqrt(nominal * (100.0 - nominal) / total["defined"])
    outside = (percent - nominal).abs() > twice
    return total.assign(percent=percent.round(3), two_errors=twice.round(3), outside=outside)


def _distinct(sizes: pd.DataFrame) -> pd.DataFrame:
    """Leave out the second row of the LRT where all data sets were bootstrapped."""
    repeated = sizes["method"] == "LRT, same data sets"
    whole = sizes.groupby(["design", "part"])["data_sets"].max().groupby("design").nunique()
    return sizes[~repeated] if (whole == 1).all() else sizes


def _wide(shares: pd.DataFrame, rows: list[str], column: str) -> str:
    """One cell for each share; those outside two Monte Carlo errors are bold."""
    cells: dict[tuple[str, ...], dict[str, str]] = {}
    for record in shares.to_dict("records"):
        text = f"{record['percent']:.1f}"
        key = tuple(str(record[name]) for name in rows)
        cells.setdefault(key, {})[record[column]] = f"**{text}**" if record["outside"] else text
    columns = list(dict.fromkeys(shares[column]))
    known = list(LABELS)
    ordered = sorted(cells, key=lambda key: known.index(key[0])) if rows == ["method"] else cells
    heads = [*("" for _ in rows), *(LABELS.get(name, name) for name in columns)]
    body = [
        [*(LABELS.get(part, part) for part in key), *(cells[key].get(c, "") for c in columns)]
        for key in ordered
    ]
    return _markdown(heads, body)


def _states(states: pd.DataFrame) -> str:
    body = [
        [f"{r['target']}: {r['method']}", r["design"], f"{r['count']} of {r['data_sets']}"]
        for r in states.to_dict("records")
    ]
    designs = list(dict.fromkeys(states["design"]))
    labels = sorted({row[0] for row in body})
    lookup = {(row[0], row[1]): row[2] for row in body}
    return _markdown(
        ["", *designs], [[x, *(lookup.get((x, d), "") for d in designs)] for x in labels]
    )


def _undefined(shares: pd.DataFrame) -> str:
    """Intervals and tests that some data sets do not have."""
    some = shares[shares["defined"] < shares["data_sets"]]
    if some.empty:
        return "Every interval and every test was defined in every data set."
    body = [
        [
            r["design"],
            r["target"],
            LABELS.get(r["method"], r["method"]),
            f"{r['data_sets'] - r['defined']} of {r['data_sets']}",
        ]
        for r in some.to_dict("records")
    ]
    return _markdown(["", "", "method", "not defined"], body)


def _numbers(shares: pd.DataFrame) -> str:
    """Data sets and two Monte Carlo errors of a nominal 5 or 95 per cent."""
    body = []
    for (design, part), group in shares.groupby(["design", "part"], sort=False):
        n = int(group["data_sets"].max())
        body.append([str(design), str(part), f"{n:,}", f"{200 * np.sqrt(0.05 * 0.95 / n):.1f}"])
    return _markdown(["design", "part", "data sets", "two Monte Carlo errors"], body)


def _markdown(heads: list[str], body: list[list[str]]) -> str:
    bar = "\\|"
    lines = [heads, ["---"] * len(heads), *body]
    return "\n".join(f"| {' | '.join(c.replace('|', bar) for c in line)} |" for line in lines)


def _insert(page: Path, tables: dict[str, str]) -> None:
    text = page.read_text()
    for name, table in tables.items():
        pattern = re.compile(rf"(<!-- table {name} -->\n).*?(<!-- end {name} -->)", re.DOTALL)
        literal = table.replace("\\", r"\\")
        text = pattern.sub(rf"\1\n{literal}\n\n\2", text)
    page.write_text(text)
