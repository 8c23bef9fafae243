"""What a newcomer reads first is true: the picture, the tour, the templates, the citation."""

from __future__ import annotations

import ast
import importlib.util
import re
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "lmmformula"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
TOUR = (ROOT / "docs" / "code-tour.md").read_text(encoding="utf-8")

NAMED_IN = re.compile(r"`(\w+)(?:\(\.\.\.\))?`(?: and `(\w+)`)?\s+in\s+`([\w/]+\.py)`")
A_PATH = re.compile(r"`((?:lmmformula/)?[a-z_][\w/]*\.py)`")


@pytest.fixture(scope="module")
def picture():
    path = ROOT / "docs" / "figures" / "draw_architecture.py"
    spec = importlib.util.spec_from_file_location("draw_architecture", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


def test_the_picture_is_current(picture):
    drawn = picture.draw(picture.layers(), picture.imports())
    assert picture.TARGET.read_text(encoding="utf-8") == drawn, (
        "run `python docs/figures/draw_architecture.py`"
    )


def test_the_picture_shows_every_part_and_its_imports(picture):
    names = [name for layer in picture.layers() for name in layer]
    parts = {path.stem for path in PACKAGE.glob("*.py")} | {
        path.parent.name for path in PACKAGE.glob("*/__init__.py")
    }
    assert set(names) == parts - {"__init__", "__main__"}
    assert all(picture.sentence(name) for name in names)
    known = {name: position for position, name in enumerate(names)}
    pairs = {pair for pair in picture.imports() if set(pair) <= set(names)}
    assert ("model", "results") in pairs
    assert all(known[one] < known[other] for one, other in pairs)


def test_the_picture_changes_with_an_import(picture):
    layers, pairs = picture.layers(), picture.imports()
    one = picture.draw(layers, pairs)
    other = picture.draw(layers, pairs - {("model", "results")})
    assert one.count("<circle") - other.count("<circle") == 1
    assert "model imports results" in one
    assert "model imports results" not in other


def module(path):
    return PACKAGE / path.removeprefix("lmmformula/")


def names_of(path):
    """What a module defines or assigns at its top."""
    found = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Assign):
            found |= {target.id for target in node.targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found.add(node.target.id)
    return found


def test_modules_of_the_tour_exist():
    paths = A_PATH.findall(TOUR)
    assert len(set(paths)) > 30
    assert not sorted(path for path in set(paths) if not module(path).exists())


def test_names_of_the_tour_are_where_it_says():
    found = NAMED_IN.findall(TOUR)
    assert len(found) > 30
    wrong = [
        f"{name} in {path}"
        for *names, path in found
        for name in names
        if name and name not in names_of(module(path))
    ]
    assert not wrong


def test_modules_of_the_architecture_page_exist():
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    known = {path.name for path in PACKAGE.rglob("*.py")}
    for path in set(A_PATH.findall(text)):
        is_there = module(path).exists() or (ROOT / path).exists()
        assert is_there or ("/" not in path and path in known), path


def test_the_citation_is_of_this_version():
    text = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    fields = dict(re.findall(r"^([\w-]+): (.+)$", text, re.MULTILINE))
    assert fields["version"] == PROJECT["project"]["version"]
    assert fields["license"] == PROJECT["project"]["license"]
    assert {"cff-version", "message", "title"} <= set(fields)
    assert re.search(r"^authors:\n  - ", text, re.MULTILINE)


def test_hooks_run_what_the_automatic_run_runs():
    hooks = (ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    commands = {line.split()[0] for line in re.findall(r"entry: (.+)", hooks)}
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert commands == {"ruff", "mypy", "lint-imports"}
    assert all(f'"$bin/{command}"' in script for command in commands)
    assert hooks.count("language: system") == hooks.count("- id:")


def test_sessions_that_the_guide_names_exist():
    guide = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    sessions = set(
        re.findall(r"^def (\w+)\(session", (ROOT / "noxfile.py").read_text("utf-8"), re.MULTILINE)
    )
    named = {name for line in re.findall(r"nox -s ([\w ]+)", guide) for name in line.split()}
    assert named
    assert named <= sessions


@pytest.mark.parametrize("path", sorted((ROOT / ".github").rglob("*.yml")), ids=lambda p: p.stem)
def test_issue_forms_are_forms(path):
    yaml = pytest.importorskip("yaml", reason="pyyaml is not installed")
    form = yaml.safe_load(path.read_text(encoding="utf-8"))
    if path.stem == "config":
        return
    assert {"name", "description", "body"} <= set(form)
    ids = [part["id"] for part in form["body"] if part["type"] != "markdown"]
    assert len(ids) == len(set(ids))
    assert any(part.get("validations", {}).get("required") for part in form["body"])
