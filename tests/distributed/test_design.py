"""Designs learned on workers are those made in memory, and so are the sums."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

from lmmformula.design import materialize
from lmmformula.design.stream.open import stream
from lmmformula.design.stream.streamed import stream_design
from lmmformula.distributed.data import DaskData
from lmmformula.distributed.design import DaskDesign
from lmmformula.engine import assemble, estimate
from lmmformula.engine.system import arranged
from lmmformula.errors import DataError, DesignError, LMMError, LMMWarning
from lmmformula.formula import parse
from lmmformula.postfit.persist import without_rows
from tests.stream.designs import ALIASED, DATA, FORMULAS, OPTIONS, lonely
from tests.stream.same_design import outcome, same
from tests.tolerances import assert_close

dd = pytest.importorskip("dask.dataframe")

SAME = 1e-9
"""Sums in another order, in a basis learned from other rows."""


def divided(data: pd.DataFrame, n: int = 3):
    """Return a Dask DataFrame; its text, which Dask would convert in every pass, is converted."""
    import dask

    text = data.select_dtypes(["object", "string"]).columns
    data = data.astype(dict.fromkeys(text, pd.StringDtype("pyarrow")))
    with dask.config.set({"dataframe.convert-string": False}):
        return dd.from_pandas(data, npartitions=n, sort=False)


def summed(formula: str, data, **options) -> DaskDesign:
    """Return the design whose rows have been summed where they are."""
    made = stream_design(parse(formula), DaskData(data), made=DaskDesign, **options)
    made.sum_up()
    return made


def compare(formula: str, data: pd.DataFrame, n: int = 3, **options) -> None:
    """Compare the design, and estimates at one theta by both engines."""
    whole, said = outcome(lambda: materialize(parse(formula), data, **options))
    made, said_too = outcome(lambda: summed(formula, divided(data, n), **options))
    for found in (whole, made):
        if isinstance(found, LMMError):
            raise found
    assert said_too == said
    expected = without_rows(whole)
    same(made.finish().matrices, expected.matrices, "matrices")
    same(made.finish().spec, expected.spec, "spec")
    assert (made.n_rows_data, made.n_obs) == (whole.spec.n_rows_data, whole.matrices.n_obs)
    system = assemble([whole.matrices])
    theta = np.full(system.n_theta, 0.5)
    target = estimate(system, theta)
    check(estimate(arranged(made.together()), theta), target)
    found, _ = outcome(lambda: made.partitioned)
    if isinstance(found, LMMError):
        assert isinstance(found, DesignError)
        assert "crosses" in found.message
        return
    check(estimate(found, theta), target)


def check(found, target) -> None:
    assert found.objective == pytest.approx(target.objective, rel=1e-11)
    assert_close(found.beta, target.beta, SAME)
    assert_close(found.vcov_beta, target.vcov_beta, SAME)
    for ours, theirs in zip(found.random, target.random, strict=True):
        assert_close(ours, theirs, SAME)


@pytest.mark.parametrize("formula", FORMULAS)
def test_partitions_make_the_same_design(formula):
    compare(formula, DATA, checks="ignore")


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_arguments_beside_the_formula(options):
    formula = "y ~ x * c + offset(x2) + (scale(x) | id) + (1 | g)"
    if "contrasts" in options:
        formula = "y ~ x * f + C(k) + (1 | id)"
    compare(formula, DATA, checks="ignore", **options)


@pytest.mark.parametrize("formula", ALIASED)
def test_columns_that_others_determine(formula):
    ordered = DATA.sort_values("f", kind="stable").reset_index(drop=True)
    for data in (DATA, ordered):
        compare(formula, data, 5, checks="ignore")


@pytest.mark.parametrize("formula", ["y ~ f + x + (1 | id)", "y ~ x + factor(k) + (1 | id:f)"])
def test_levels_without_complete_rows(formula):
    compare(formula, lonely(), checks="ignore")


@pytest.mark.parametrize("n", [1, 2, 9])
def test_any_number_of_partitions(n):
    compare("y ~ x * f + poly(z, 2) + (x | id)", DATA, n, checks="ignore")


def test_partitions_without_rows_and_without_complete_rows():
    data = DATA.copy()
    data.loc[:29, "x"] = np.nan  # nothing is left of the first partition
    compare("y ~ x + f + (1 | id)", data, 3, checks="ignore")
    empty = divided(DATA, 3)
    whole = materialize(parse("y ~ z + (1 | id)"), DATA[DATA["z"] > 4.0].reset_index(drop=True))
    made = summed("y ~ z + (1 | id)", empty[empty["z"] > 4.0])
    assert made.n_obs == whole.matrices.n_obs
    with_none = dd.concat([divided(DATA[:0], 1), divided(DATA, 2)])
    assert summed("y ~ x2 + (1 | id)", with_none).n_obs == len(DATA)


def test_partitions_in_several_chunks():
    opened = stream(divided(DATA, 3), chunk_rows=7)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LMMWarning)
        made = stream_design(
            parse("y ~ x * f + scale(z) + (x | id)"), DaskData.of(opened), made=DaskDesign
        )
        made.sum_up()
        whole = materialize(parse("y ~ x * f + scale(z) + (x | id)"), DATA)
    theta = np.ones(3)
    check(estimate(arranged(made.together()), theta), estimate(assemble([whole.matrices]), theta))


def test_declared_levels_that_do_not_occur_take_another_pass():
    opened = stream(divided(DATA, 3), levels={"f": ["unused", "a", "b", "c"]})
    formula = parse("y ~ x + f + (1 | id)")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LMMWarning)
        made = stream_design(formula, DaskData.of(opened), made=DaskDesign)
        made.sum_up()
        whole = materialize(formula, DATA)
    assert made.n_passes == 3  # groups; sums; sums without the level
    assert made.finish().matrices.fixed_names == whole.matrices.fixed_names
    theta = np.ones(1)
    check(estimate(arranged(made.together()), theta), estimate(assemble([whole.matrices]), theta))


def test_digests_do_not_depend_on_how_rows_are_divided():
    marks = set()
    for data in (divided(DATA, 1), divided(DATA, 5), divided(DATA, 3).shuffle(on="id")):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", LMMWarning)
            marks.add(summed("y ~ x + (1 | id)", data, weights="w").digests)
    assert len(marks) == 1
    changed = DATA.assign(y=DATA["y"] + (DATA.index == 40))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LMMWarning)
        other = summed("y ~ x + (1 | id)", divided(changed, 5), weights="w").digests
    (mark,) = marks
    assert other[1:] != mark[1:]


def test_errors_name_the_partition():
    data = DATA.assign(w=np.where(DATA.index == 80, -1.0, 1.0))
    with pytest.raises(DataError) as caught:
        summed("y ~ x2 + (1 | id)", divided(data, 3), weights="w")
    assert caught.value.where == "partition 2 of the Dask DataFrame"


def test_a_type_that_changes_from_partition_to_partition():
    frames = [DATA[["y", "id"]][:40].assign(v=1.0), DATA[["y", "id"]][40:].assign(v="a")]
    meta = frames[0].iloc[:0]
    data = dd.from_map(lambda i: frames[i], [0, 1], meta=meta, enforce_metadata=False)
    with pytest.raises(DataError, match="changes its type") as caught:
        summed("y ~ v + (1 | id)", data)
    assert caught.value.column == "v"
