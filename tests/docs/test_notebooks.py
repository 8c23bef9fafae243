"""Notebooks: what is saved in them is what they print, and nothing that changes by itself."""

from __future__ import annotations

import importlib.util
import json
import re
from types import SimpleNamespace

import pytest

from tests.docs.blocks import LINK, ROOT

FOLDER = ROOT / "docs" / "notebooks"
PATHS = sorted(FOLDER.glob("*.ipynb"))
LARGEST = 800_000


def module(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


runner = module(FOLDER / "execute.py")


def cells(path):
    return json.loads(path.read_text(encoding="utf-8"))["cells"]


def named(path):
    return path.stem


def test_there_are_three():
    assert len(PATHS) == 3


@pytest.mark.parametrize("path", PATHS, ids=named)
def test_outputs_are_saved_in_order(path):
    code = [cell for cell in cells(path) if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    assert sum(bool(cell["outputs"]) for cell in code) > 0.7 * len(code)
    kinds = {output["output_type"] for cell in code for output in cell["outputs"]}
    assert kinds <= {"stream", "execute_result", "display_data"}
    streams = {output.get("name") for cell in code for output in cell["outputs"]}
    assert streams <= {None, "stdout"}


@pytest.mark.parametrize("path", PATHS, ids=named)
def test_nothing_in_it_changes_by_itself(path):
    text = path.read_text(encoding="utf-8")
    assert len(text) < LARGEST
    notebook = json.loads(text)
    assert set(notebook["metadata"]) == {"kernelspec", "language_info"}
    assert notebook["metadata"]["language_info"] == {"name": "python"}
    assert [cell["id"] for cell in notebook["cells"]] == [
        f"cell-{number:02d}" for number in range(1, len(notebook["cells"]) + 1)
    ]
    said = "".join(
        runner.printed(cell) for cell in notebook["cells"] if cell["cell_type"] == "code"
    )
    assert not re.search(r" at 0x[0-9a-f]{6,}|/home/|/usr/|\d{4}-\d\d-\d\d \d\d:\d\d", said)


@pytest.mark.parametrize("path", PATHS, ids=named)
def test_it_opens_with_a_title_and_its_links_lead_somewhere(path):
    first, *rest = ["".join(cell["source"]) for cell in cells(path)]
    assert first.startswith("# ")
    targets = [target for text in (first, *rest) for target in LINK.findall(text)]
    assert targets
    assert not [target for target in targets if not (path.parent / target).exists()]


@pytest.mark.parametrize("path", PATHS, ids=named)
def test_times_stand_in_cells_that_say_so(path):
    for cell in cells(path):
        source = "".join(cell["source"])
        if cell["cell_type"] == "code" and "perf_counter()" in source:
            assert cell["metadata"]["tags"] == [runner.TIMING]
            assert "assert" not in source


@pytest.mark.slow
@pytest.mark.parametrize("path", PATHS, ids=named)
def test_a_fresh_run_prints_the_same(path, monkeypatch):
    pytest.importorskip("nbclient", reason="nbclient is not installed (group `notebooks`)")
    pytest.importorskip("ipykernel", reason="ipykernel is not installed (group `notebooks`)")
    pytest.importorskip("matplotlib", reason="matplotlib is not installed (extra `plot`)")
    import nbformat

    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    saved = nbformat.read(path, as_version=4)
    assert runner.differences(saved, runner.execute(path)) == []


# -- what compares ---------------------------------------------------------------------------


def notebook(*texts, tags=()):
    metadata = {"tags": list(tags)}
    return SimpleNamespace(
        cells=[
            Cell(id=str(i), metadata=metadata, outputs=[{"text": text}])
            for i, text in enumerate(texts)
        ]
    )


class Cell(dict):
    __getattr__ = dict.__getitem__


@pytest.mark.parametrize(
    ("saved", "fresh", "same"),
    [
        ("slope 10.467", "slope 10.467", True),
        ("slope 10.467", "slope  10.468\n", True),
        ("slope 10.467", "slope 10.567", False),
        ("slope 10.467", "slope -10.467", False),
        ("slope 10.467", "incline 10.467", False),
        ("0.051", "0.051 0.2", False),
        ("2.79e-10", "2.79e-09", False),
        ("1,128 levels", "1,128 levels", True),
    ],
)
def test_numbers_agree_to_their_last_place(saved, fresh, same):
    assert (runner.differences(notebook(saved), notebook(fresh)) == []) is same


def test_times_do_not_count_and_cells_do():
    timed = {"tags": [runner.TIMING]}
    assert runner.differences(notebook("1 s", **timed), notebook("90 s", **timed)) == []
    assert runner.differences(notebook("a"), notebook("a", "b"))
