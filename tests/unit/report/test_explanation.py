"""How a model would be fitted, said before it is."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest

import lmmformula as lf
from lmmformula.report.explanation import EVALUATIONS, Explanation


@dataclass
class Cost:
    memory: float = 2.5e9
    seconds: float = 90.0
    entries: int = 1_234_567


@dataclass
class Plan:
    method: str = "sparse"
    levels: dict = field(default_factory=lambda: {"user": 1000, "item": 50, "shop": 4})
    columns: dict = field(default_factory=lambda: {"user": 2000, "item": 50, "shop": 4})
    tail_columns: int = 54
    pairs: int = 321
    components: int = 3
    largest_block: int = 30
    costs: dict = field(
        default_factory=lambda: {
            "dense": Cost(3e12, 7e4),
            "sparse": Cost(),
            "blocks": Cost(900, 1e-5),
        }
    )
    memory_limit: float = 8e9
    reasons: tuple = ("one dense block would take too long.",)


def explained(**changes):
    return Explanation("y ~ 1 + (1 + x | user) + (1 | item)", 4321, 1, Plan(**changes))


def test_numbers_of_the_way_chosen():
    found = explained()
    assert (found.method, found.memory, found.seconds) == ("sparse", 2.5e9, EVALUATIONS * 90.0)


def test_what_is_printed():
    text = str(explained())
    for part in (
        "y ~ 1 + (1 + x | user) + (1 | item)",
        "4321 rows, 1 fixed effect.",
        "321 pairs of levels occur together",
        "54 random effects remain, in 3 blocks of coupled levels, the largest of 30.",
        "One dense block would take too long.",
        "8 GB may be used",
    ):
        assert part in " ".join(text.split()), part
    lines = text.splitlines()
    (user,) = (line.split() for line in lines if line.startswith("user"))
    assert user[:4] == ["user", "1000", "2", "2000"]
    (sparse,) = (line for line in lines if line.startswith("exact, sparse factor"))
    assert "2.5 GB" in sparse
    assert "1.5 min" in sparse
    assert "12 min" in sparse
    assert sparse.rstrip().endswith("chosen")
    (dense,) = (line for line in lines if line.startswith("exact, one dense block"))
    assert "3 TB" in dense
    assert "19 h" in dense
    assert "6.5 d" in dense
    (blocks,) = (line for line in lines if line.startswith("exact, small dense blocks"))
    assert "900 bytes" in blocks
    assert "below 1 ms" in blocks


def test_it_is_shown_in_notebooks_and_papers():
    found = explained()
    assert "<table" in found._repr_html_()
    assert "tabular" in found.as_latex()


def test_no_cost_is_known_of_krylov():
    found = explained(method="krylov")
    assert np.isnan(found.memory)
    assert np.isnan(found.seconds)
    text = str(found)
    assert "by conjugate gradients" in text
    (krylov,) = (line for line in text.splitlines() if line.startswith("Krylov methods"))
    assert krylov.split()[-1] == "chosen"


def test_a_model_explains_itself():
    data = lf.load_dataset("penicillin")
    model = lf.lmm("diameter ~ 1 + (1 | plate) + (1 | sample)", data)
    found = model.explain()
    assert found.method == "dense"
    assert "144 rows, 1 fixed effect." in str(found)
    assert "one block of coupled levels" in str(found)
    nested = lf.lmm("strength ~ 1 + (1 | batch/cask)", lf.load_dataset("pastes")).explain()
    assert nested.method == "blocks"


def test_structured_residuals_are_not_explained():
    model = lf.lmm("Reaction ~ Days", lf.load_dataset("sleepstudy"), residual="ar1(Days | Subject)")
    with pytest.raises(lf.OptionError, match="independent residuals"):
        model.explain()
