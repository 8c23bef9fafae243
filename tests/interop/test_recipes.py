"""The blocks of the page that need more than the test environment: run where they can be."""

from __future__ import annotations

import ast
import shutil
import warnings
from importlib.util import find_spec

import pytest

from tests.docs.blocks import ROOT, Block, blocks

PAGE = ROOT / "docs" / "how-to" / "other-libraries.md"
BLOCKS = blocks(PAGE)
OPTIONAL = [block for block in BLOCKS if block.language == "py"]


def needs(block: Block) -> set[str]:
    """Packages that a block imports."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(block.text)):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.split(".")[0])
    return names


def run(block: Block, namespace: dict) -> None:
    exec(compile("\n" * (block.line - 1) + block.text, str(PAGE), "exec"), namespace)


@pytest.fixture
def namespace(capsys):
    """What the page has defined by itself."""
    names: dict = {"__name__": "__page__"}
    for block in BLOCKS:
        if block.language == "python":
            run(block, names)
    return names


def draw(namespace: dict) -> list[str]:
    """Draw what a block made, which is when these libraries look at the data."""
    drawn = []
    for name, kind in (("figure", "seaborn"), ("trellis", "plotnine"), ("caterpillar", "plotnine")):
        if name in namespace:
            picture = namespace.pop(name)
            picture.plot() if kind == "seaborn" else picture.draw()
            drawn.append(name)
    return drawn


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_recipes_draw(namespace):
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    recipes = [block for block in OPTIONAL if "compare_with_lme4" not in block.text]
    drawn: list[str] = []
    for package in ("seaborn", "plotnine"):
        pytest.importorskip(package)
    for block in recipes:
        run(block, namespace)
        drawn += draw(namespace)
    assert drawn == ["figure", "trellis", "caterpillar"]
    assert len(namespace["grid"].axes_dict) == 18
    matplotlib.pyplot.close("all")


@pytest.mark.slow
@pytest.mark.r
@pytest.mark.skipif(shutil.which("Rscript") is None, reason="Rscript is not installed")
def test_comparison_of_the_page(namespace):
    block = next(block for block in OPTIONAL if "compare_with_lme4" in block.text)
    run(block, namespace)
    assert namespace["table"]["difference"].abs().max() < 1e-4


def test_optional_blocks_need_known_packages():
    wanted = set().union(*(needs(block) for block in OPTIONAL))
    assert wanted == {"seaborn", "plotnine"}
    assert find_spec("lmmformula") is not None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for block in OPTIONAL:
            compile(block.text, str(PAGE), "exec")
