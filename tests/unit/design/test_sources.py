"""Any kind of data gives the same design, and only the columns of the formula are read."""

import pickle
import tracemalloc

import narwhals as nw
import numpy as np
import pandas as pd
import pytest

from lmmformula.design import materialize
from lmmformula.design.sources import SOURCES, closest_name, open_source
from lmmformula.errors import DataWarning, DroppedRowsWarning
from lmmformula.formula import parse
from tests.unit.design.frames import N, design, frame

FORMULA = "y ~ x * f + flag + count + (x | g) + (1 | s:k)"


def rich():
    rng = np.random.default_rng(5)
    return frame(
        f=pd.Categorical(np.tile(["lo", "hi", "mid"], 8), ["lo", "mid", "hi"]),
        flag=rng.normal(size=N) > 0,
        count=rng.integers(0, 9, N),
        s=np.repeat(["u", "v", "w"], 8),
        k=np.tile([30, 4], 12),
    )


def polars_frame(data):
    polars = pytest.importorskip("polars")
    out = polars.from_pandas(data.drop(columns="f"))
    levels = polars.Enum(["lo", "mid", "hi"])
    return out.with_columns(
        polars.Series(
            "f", data["f"].astype(object).where(data["f"].notna(), None).tolist(), dtype=levels
        )
    )


def arrow_table(data):
    pyarrow = pytest.importorskip("pyarrow")
    return pyarrow.Table.from_pandas(data, preserve_index=False)


KINDS = {
    "pandas": lambda d: d,
    "other index": lambda d: d.set_index(pd.Index(np.arange(N) * 3 + 100)),
    "nullable": lambda d: d.convert_dtypes(),
    "arrow dtypes": lambda d: d.convert_dtypes(dtype_backend="pyarrow"),
    "object strings": lambda d: d.astype({"g": object, "s": object, "flag": object}),
    "object numbers": lambda d: d.astype({"x": object, "count": object, "k": object}),
    "whole floats": lambda d: d.astype({"k": float, "count": float}),
    "small numbers": lambda d: d.astype({"k": np.int8, "count": np.uint16}),
    "categoricals": lambda d: d.astype({"g": "category", "s": "category", "k": "category"}),
    "unused categories": lambda d: d.assign(
        g=pd.Categorical(d["g"], list("_abcdefz")),
        f=pd.Categorical(d["f"], ["none", "lo", "mid", "hi", "more"]),
    ),
    "polars": polars_frame,
    "arrow": arrow_table,
    "narwhals": lambda d: nw.from_native(d),
    "dict of arrays": lambda d: (
        {name: d[name].to_numpy() for name in d if name != "f"} | {"f": d["f"]}
    ),
    "dict of lists": lambda d: (
        {name: d[name].tolist() for name in d if name != "f"} | {"f": d["f"].array}
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_same_design_from_every_kind_of_data(kind):
    expected = design(FORMULA, rich(), checks="ignore")
    got = design(FORMULA, KINDS[kind](rich()), checks="ignore")
    np.testing.assert_array_equal(got.matrices.y, expected.matrices.y)
    np.testing.assert_array_equal(got.matrices.X, expected.matrices.X)
    assert got.matrices.fixed_names == expected.matrices.fixed_names
    assert got.spec.factors == expected.spec.factors
    for mine, theirs in zip(got.matrices.random, expected.matrices.random, strict=True):
        np.testing.assert_array_equal(mine.z, theirs.z)
        np.testing.assert_array_equal(mine.codes, theirs.codes)
        assert mine.levels.tolist() == theirs.levels.tolist()
        assert all(type(level) is str for level in mine.levels)
        assert mine.codes.dtype == np.int32


@pytest.mark.parametrize(
    "kind", [k for k in KINDS if k not in ("small numbers", "whole floats", "unused categories")]
)
def test_missing_values_of_every_kind_of_data(kind):
    data = rich()
    data["g"] = data["g"].where(data.index != 1, None)
    data["x"] = data["x"].where(data.index != 2)
    data["f"] = data["f"].where(data.index != 3)
    data["count"] = data["count"].astype("Int64").where(data.index != 4)
    data["flag"] = data["flag"].astype("boolean").where(data.index != 5)
    with pytest.warns(DroppedRowsWarning) as caught:
        made = design(FORMULA, KINDS[kind](data), checks="ignore")
    assert caught[0].message.rows.tolist() == [1, 2, 3, 4, 5]
    assert set(caught[0].message.columns) == {"g", "x", "f", "count", "flag"}
    assert made.matrices.n_obs == N - 5
    assert made.spec.dropped_rows.tolist() == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("kind", ["pandas", "polars", "arrow", "nullable", "arrow dtypes"])
def test_times_of_every_kind_of_data(kind):
    data = rich().assign(
        t=pd.date_range("2020-01-01", periods=N, tz="Europe/Berlin"),
        d=pd.to_timedelta(np.arange(N) ** 2, unit="h"),
    )
    with pytest.warns(DataWarning) as caught:
        made = design("y ~ 0 + t + d + (1 | g)", KINDS[kind](data))
    assert [w.message.column for w in caught] == ["t", "d"]
    np.testing.assert_allclose(made.matrices.X[0], [18261 + 23 / 24, 0.0], rtol=1e-12)
    np.testing.assert_allclose(made.matrices.X[:, 1], np.arange(N) ** 2 / 24, rtol=1e-12)


def test_index_of_the_rows_used():
    data = rich().set_index(pd.Index([f"row{i}" for i in range(N)]))
    data.loc["row3", "x"] = np.nan
    with pytest.warns(DroppedRowsWarning):
        made = design("y ~ x + (1 | g)", data)
    assert made.spec.index.tolist() == [f"row{i}" for i in range(N) if i != 3]
    assert made.matrices.rows.tolist() == [i for i in range(N) if i != 3]


@pytest.mark.parametrize("levels", [pd.interval_range(0, 3), pd.Index([True, False])])
def test_categories_of_any_type(levels):
    data = frame(f=pd.Categorical.from_codes(np.arange(N) % len(levels), levels))
    made = design("y ~ x + (1 | f)", data)
    assert made.matrices.random[0].levels.tolist() == [str(level) for level in levels]


def test_labels_of_whole_floats_dates_and_large_integers():
    data = frame(
        a=np.repeat([10.0, 9.0, 308.0], 8),
        d=np.repeat(pd.to_datetime(["2021-02-03", "2020-01-02", "2020-01-01"]), 8),
        i=np.repeat([2**62, -(2**62), 5], 8),
        u=np.repeat(np.array([2**63 + 1, 7, 2**63], dtype=np.uint64), 8),
        b=np.repeat([True, False, True], 8),
    )
    made = design("y ~ 1 + (1 | a) + (1 | d) + (1 | i) + (1 | u) + (1 | b)", data)
    levels = {block.group: block.levels.tolist() for block in made.matrices.random}
    assert levels == {
        "a": ["9", "10", "308"],
        "d": ["2020-01-01", "2020-01-02", "2021-02-03"],
        "i": [str(-(2**62)), "5", str(2**62)],
        "u": ["7", str(2**63), str(2**63 + 1)],
        "b": ["False", "True"],
    }


def test_categories_that_are_written_alike_are_one_level():
    data = frame(m=pd.Categorical([1, "1", 2, "2"] * 6, [1, "1", 2, "2"]))
    assert design("y ~ x + (1 | m)", data).matrices.random[0].levels.tolist() == ["1", "2"]


def test_only_needed_columns_are_touched():
    class Poison:
        def __getattr__(self, name):
            raise AssertionError(name)

    data = frame(bad=pd.Series([Poison] * N, dtype=object))
    design("y ~ x + (1 | g)", data)


def test_wide_frames_are_not_copied():
    n = 2_000
    wide = pd.DataFrame(np.random.default_rng(0).normal(size=(n, 500)))
    wide.columns = [f"c{i}" for i in range(500)]
    wide["g"] = np.arange(n) % 20
    formula = parse("c0 ~ c1 + (1 | g)")
    materialize(formula, wide)
    tracemalloc.start()
    materialize(formula, wide)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20 * 8 * n


@pytest.mark.parametrize("kind", ["pandas", "dict of arrays"])
def test_the_design_does_not_share_memory_with_the_data(kind):
    data = KINDS[kind](rich())
    made = design("y ~ x + (x | g)", data, weights=np.ones(N), offset=np.ones(N))
    matrices = made.matrices
    arrays = [matrices.y, matrices.X, matrices.weights, matrices.offset, matrices.random[0].codes]
    for array in arrays:
        for name in ("y", "x"):
            assert not np.shares_memory(array, np.asarray(data[name]))
    for array in arrays[:3]:
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1.0


def test_every_source_reads_by_name():
    for source, data in zip(SOURCES, (rich(), dict(rich()), polars_frame(rich())), strict=True):
        opened = open_source(data)
        assert type(opened) is source
        assert opened.n_rows == N
        assert opened.column("x") is opened.column("x")


def test_closest_name_ignores_case():
    assert closest_name("days", ["Days", "Subject"]) == "Days"
    assert closest_name("qqq", ["Days"]) is None


def test_design_survives_pickling():
    made = design(
        "y ~ poly(x, 2) + scale(x*z) + C(f, contr.sum) + ns(z, df=3) + (x | g) + (1 | s:k)",
        rich(),
        contrasts={"f": "helmert"},
        checks="ignore",
    )
    back = pickle.loads(pickle.dumps(made))
    np.testing.assert_array_equal(back.matrices.X, made.matrices.X)
    spec = pickle.loads(pickle.dumps(made.spec))
    new = spec.replay(rich().iloc[:5])
    np.testing.assert_allclose(new.X, made.matrices.X[:5], rtol=1e-12)
    assert repr(spec) == repr(made.spec)
