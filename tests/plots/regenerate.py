"""Write the stored images again: ``python -m tests.plots.regenerate [CASE ...]``.

Baselines of the gallery test, with the versions that drew them, and the pictures and the contact
sheet of ``docs/gallery.md``. Do this with a new matplotlib, or after a deliberate change; then look
at every picture that differs.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from tests.plots.gallery import BASELINE, CASES, DPI, VERSIONS, make, pixels, read, versions

DOCS = Path(__file__).parents[2] / "docs" / "gallery"
DOCS_DPI = 130
SHEET, GAP = 2780, 24
REDUCED = 0.54
COLOURS = 256


def write_baseline(case: str) -> None:
    """Store the pixels that the test compares."""
    from matplotlib.image import imsave

    figure = make(case)
    imsave(BASELINE / f"{case}.png", (pixels(figure)).round().astype("uint8"), dpi=DPI)


def write_page_picture(case: str) -> None:
    """Store a small picture for the gallery page."""
    from PIL import Image

    path = DOCS / f"{case}.png"
    make(case).savefig(path, dpi=DOCS_DPI)
    with Image.open(path) as image:
        reduced = small(image)
    reduced.save(path, optimize=True)


def write_contact_sheet() -> None:
    """Put all pictures on one sheet, at one scale, in rows; tall ones beside tall ones."""
    from PIL import Image

    rows: list[list[Image.Image]] = [[]]
    pictures = [Image.open(BASELINE / f"{case}.png").convert("RGB") for case in CASES]
    for picture in sorted(pictures, key=lambda one: -one.height):
        if rows[-1] and sum(one.width + GAP for one in rows[-1]) + picture.width > SHEET:
            rows.append([])
        rows[-1].append(picture)
    heights = [max(one.height for one in row) + GAP for row in rows]
    sheet = Image.new("RGB", (SHEET + GAP, sum(heights) + GAP), "white")
    top = GAP
    for row, height in zip(rows, heights, strict=True):
        left = GAP
        for picture in row:
            sheet.paste(picture, (left, top))
            left += picture.width + GAP
        top += height
    size = (round(REDUCED * sheet.width), round(REDUCED * sheet.height))
    small(sheet.resize(size, Image.Resampling.LANCZOS)).save(
        DOCS / "contact-sheet.png", optimize=True
    )


def small(image: Any) -> Any:
    """Few colours, the rare ones too."""
    from PIL import Image

    return image.convert("RGB").quantize(
        COLOURS, method=Image.Quantize.MAXCOVERAGE, kmeans=4, dither=Image.Dither.NONE
    )


def main(cases: list[str]) -> None:
    """Write what was asked for, everything by default."""
    BASELINE.mkdir(exist_ok=True)
    DOCS.mkdir(exist_ok=True)
    for case in cases or CASES:
        write_baseline(case)
        write_page_picture(case)
        print(f"{case}: {read(BASELINE / f'{case}.png').shape}")
    if not cases:
        known = {f"{case}.png" for case in CASES}
        for folder, kept in ((BASELINE, known), (DOCS, {*known, "contact-sheet.png"})):
            for path in folder.glob("*.png"):
                if path.name not in kept:
                    path.unlink()
        VERSIONS.write_text(json.dumps(versions(), indent=2) + "\n", encoding="utf-8")
    write_contact_sheet()


if __name__ == "__main__":
    main(sys.argv[1:])
