"""Runs the notebooks beside this file and keeps their outputs, without what changes by itself.

``python docs/notebooks/execute.py`` runs all of them, ``... execute.py sleepstudy`` one. Counters
are set anew; times of execution, random identifiers, messages on stderr and versions of kernels are
left out, so that a second run changes nothing but times that a notebook prints in cells tagged
``timing``.
"""

from __future__ import annotations

import os
import re
import sys
from itertools import zip_longest
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
TIMING = "timing"

NUMBER = re.compile(r"[-+]?\d[\d,]*\.?\d*(?:e[-+]?\d+)?")
CLOSE = 2e-3
"""Relative: printed digits of optima may differ in the last place between machines."""


def execute(path: Path) -> Any:
    """Return the notebook with the outputs of a fresh run; the file is not changed."""
    import nbformat
    from nbclient import NotebookClient

    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(FOLDER)}})
    client.execute()
    return cleaned(notebook)


def cleaned(notebook: Any) -> Any:
    """Take out what differs between two runs that did the same."""
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    count = 0
    for position, cell in enumerate(notebook.cells, start=1):
        tags = cell.metadata.get("tags", [])
        cell.metadata = {"tags": tags} if tags else {}
        cell.id = f"cell-{position:02d}"
        if cell.cell_type != "code":
            continue
        count += 1
        cell.execution_count = count
        cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
        for output in cell.outputs:
            if "execution_count" in output:
                output.execution_count = count
            if "metadata" in output:
                output.metadata = {}
            data = output.get("data", {})
            if "image/png" in data:
                data["text/plain"] = "<Figure>"
                data["image/png"] = data["image/png"].strip()
    return notebook


def printed(cell: Any) -> str:
    """Text that a cell leaves behind."""
    parts = []
    for output in cell.get("outputs", []):
        text = output.get("text", output.get("data", {}).get("text/plain", ""))
        parts.append(text if isinstance(text, str) else "".join(text))
    return "\n".join(parts)


def differences(saved: Any, fresh: Any) -> list[str]:
    """Say where two runs printed something else; times do not count."""
    found = []
    for one, other in zip_longest(saved.cells, fresh.cells):
        if one is None or other is None:
            return ["the notebooks have different numbers of cells"]
        if TIMING in one.metadata.get("tags", []) or _same(printed(one), printed(other)):
            continue
        found.append(f"{one.id}:\n{printed(one)}\n--- is now ---\n{printed(other)}")
    return found


def _same(one: str, other: str) -> bool:
    words = [NUMBER.sub("#", text).replace("-", "").split() for text in (one, other)]
    if words[0] != words[1]:
        return False
    pairs = zip(NUMBER.findall(one), NUMBER.findall(other), strict=True)
    return all(a == b or _close(a, b) for a, b in pairs)


def _close(one: str, other: str) -> bool:
    a, b = (float(text.replace(",", "").rstrip(".")) for text in (one, other))
    digits, _, exponent = one.partition("e")
    last_place = 10.0 ** (int(exponent or 0) - len(digits.partition(".")[2]))
    return abs(a - b) <= max(CLOSE * abs(a), 1.01 * last_place)


def main(names: list[str]) -> None:
    """Run the notebooks named, or all, and save them."""
    import nbformat

    for path in NOTEBOOKS:
        if not names or path.stem in names:
            notebook = execute(path)
            nbformat.write(notebook, path)
            print(f"{path.name}: {path.stat().st_size // 1000} kB")


if __name__ == "__main__":
    main(sys.argv[1:])
