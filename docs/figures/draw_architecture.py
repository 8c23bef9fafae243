"""Draws who imports whom: ``python docs/figures/draw_architecture.py`` writes ``architecture.svg``.

Nothing in it is drawn by hand. Layers and their order are those of the contract in
``pyproject.toml``, sentences are the first ones of the packages' docstrings, and dots are imports
that grimp (which comes with import-linter) finds in the code.
"""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from html import escape
from pathlib import Path

ROOT = Path(__file__).parents[2]
TARGET = Path(__file__).with_name("architecture.svg")
PACKAGE = "lmmformula"

ROW, COLUMN, GAP, TOP, LEFT, MARGIN = 36, 17, 8, 122, 480, 16
LETTERS_IN_LINE = 84
INK, MUTED, BAND, LINE, DOT = "#222222", "#5f5f5f", "#eef4f8", "#d0d0d0", "#0072B2"


@dataclass(frozen=True)
class Part:
    """A package or module of the first level, and where it stands in the picture."""

    name: str
    text: str
    layer: int
    y: float


def layers() -> list[list[str]]:
    """Names in every layer, from the top."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = project["tool"]["importlinter"]["contracts"]
    found = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    return [[name.split(".")[1] for name in re.findall(r"[\w.]+", layer)] for layer in found]


def imports() -> set[tuple[str, str]]:
    """Pairs of first-level names of which the first imports the second somewhere."""
    import grimp

    graph = grimp.build_graph(PACKAGE, cache_dir=None)
    pairs = set()
    for module in graph.modules:
        for other in graph.find_modules_directly_imported_by(module):
            if module.count(".") and other.count("."):
                pairs.add((module.split(".")[1], other.split(".")[1]))
    return {(one, other) for one, other in pairs if one != other}


def sentence(name: str) -> str:
    """What a package says that it is."""
    folder = ROOT / PACKAGE / name
    path = folder / "__init__.py" if folder.is_dir() else folder.with_suffix(".py")
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    first = re.sub(r"\s*\(``.*?``\)", "", " ".join(text.split("\n\n")[0].split()))
    return first.replace("``", "").partition(". ")[0].rstrip(".")


def parts(names: Iterable[Iterable[str]]) -> list[Part]:
    """Lay the rows out."""
    laid, y = [], float(TOP)
    for number, layer in enumerate(names):
        for name in layer:
            laid.append(Part(name, sentence(name), number, y))
            y += ROW
        y += GAP
    return laid


def draw(names: list[list[str]], pairs: set[tuple[str, str]]) -> str:
    """Return the picture as SVG."""
    rows = parts(names)
    known = {part.name: position for position, part in enumerate(rows)}
    width = LEFT + COLUMN * len(rows) + MARGIN
    height = rows[-1].y + ROW + MARGIN
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" '
        f'width="{width:g}" height="{height:g}" role="img" '
        "font-family=\"system-ui, 'Noto Sans', 'DejaVu Sans', sans-serif\">",
        "<title>Layers of lmmformula, and what imports what</title>",
        f'<rect width="{width:g}" height="{height:g}" fill="white"/>',
        *_captions(),
        *_bands(rows, width),
    ]
    for position, part in enumerate(rows):
        lines += _row(part, position, rows)
    for one, other in sorted(pairs, key=lambda pair: [known.get(name, -1) for name in pair]):
        if one in known and other in known:
            x, y = _centre(known[other]), rows[known[one]].y + ROW / 2
            lines.append(
                f'<circle cx="{x:g}" cy="{y:g}" r="4.6" fill="{DOT}">'
                f"<title>{one} imports {other}</title></circle>"
            )
    return "\n".join([*lines, "</svg>"]) + "\n"


def _captions() -> Iterator[str]:
    texts = [
        (28, 15, 600, INK, "Each row imports only from rows below it"),
        (50, 11.5, 400, MUTED, "A band is a layer; parts of one layer do not import each other."),
        (67, 11.5, 400, MUTED, "A dot: the row imports the column. No dot lies left of a square,"),
        (84, 11.5, 400, MUTED, "which stands for the row itself; empty places are promises too."),
    ]
    for y, size, weight, colour, text in texts:
        yield (
            f'<text x="{MARGIN}" y="{y}" font-size="{size}" font-weight="{weight}" '
            f'fill="{colour}">{text}</text>'
        )


def _bands(rows: list[Part], width: float) -> Iterator[str]:
    for number in sorted({part.layer for part in rows}):
        ys = [part.y for part in rows if part.layer == number]
        yield (
            f'<rect x="{MARGIN / 2:g}" y="{ys[0]:g}" width="{width - MARGIN:g}" '
            f'height="{len(ys) * ROW:g}" rx="4" fill="{BAND}"/>'
        )


def _row(part: Part, position: int, rows: list[Part]) -> Iterator[str]:
    x, end = _centre(position), _centre(len(rows) - 1)
    middle = part.y + ROW / 2
    yield (
        f'<path d="M{x:g} {TOP - 4:g}V{middle:g}H{end:g}" fill="none" stroke="{LINE}" '
        'stroke-width="0.8"/>'
    )
    yield f'<rect x="{x - 3:g}" y="{middle - 3:g}" width="6" height="6" fill="{MUTED}"/>'
    yield (
        f'<text transform="translate({x + 4:g} {TOP - 8:g}) rotate(-60)" font-size="11" '
        f'fill="{INK}">{part.name}</text>'
    )
    yield (
        f'<text x="{MARGIN}" y="{part.y + 15:g}" font-size="12.5" font-weight="600" '
        f'fill="{INK}">{part.name}</text>'
    )
    text = part.text
    if len(text) > LETTERS_IN_LINE:
        text = text[:LETTERS_IN_LINE].rpartition(" ")[0].rstrip(",;:") + " …"
    yield (
        f'<text x="{MARGIN}" y="{part.y + 29:g}" font-size="11" fill="{MUTED}">'
        f"{escape(text)}</text>"
    )


def _centre(position: int) -> float:
    return LEFT + COLUMN * (position + 0.5)


def main() -> None:
    """Write the picture."""
    sys.path.insert(0, str(ROOT))  # grimp looks for packages as `import` does
    TARGET.write_text(draw(layers(), imports()), encoding="utf-8")


if __name__ == "__main__":
    main()
