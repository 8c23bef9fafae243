"""What a result says of rows that come in pieces: in batches, and as a Parquet file."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import lmmformula as lf
from lmmformula.design.stream.sink import ParquetSink
from tests.refusals import refused
from tests.stream.fitted import N, measured, parquet, pieces

pq = pytest.importorskip("pyarrow.parquet")
pytestmark = [
    pytest.mark.filterwarnings("ignore::lmmformula.errors.DroppedRowsWarning"),
    pytest.mark.filterwarnings("ignore::lmmformula.errors.SingularFitWarning"),
]


def together(batches):
    return pd.concat(list(batches))


def same_rows(found, expected):
    """The same rows, columns and numbers; text comes as categories, integers with gaps as such."""
    assert list(found) == list(expected)
    assert found.index.tolist() == expected.index.tolist()
    for name in expected:
        a, b = found[name], expected[name]
        if b.dtype.kind == "f":
            np.testing.assert_allclose(a.astype(float), b, rtol=1e-8, atol=1e-9, err_msg=name)
        else:
            assert a.astype(object).where(a.notna(), None).tolist() == (
                b.astype(object).where(b.notna(), None).tolist()
            ), name


# Augmenting


def test_batches_are_the_rows_of_the_fit(fits):
    whole, parts = fits
    batches = list(parts.augment())
    assert len(batches) == 5
    same_rows(together(batches), whole.augment(measured()))
    assert batches[0]["x"].dtype == np.float32
    assert batches[0]["id"].iloc[0] == 2**60


def test_a_fit_in_memory_is_augmented_from_a_file(fits, path):
    whole, parts = fits
    same_rows(together(whole.augment(pieces(path))), whole.augment(measured()))
    same_rows(parts.augment(measured()), whole.augment(measured()))
    labelled = measured().set_index(pd.Index([f"r{i}" for i in range(N)]))
    same_rows(whole.without_data().augment(labelled), whole.augment(labelled))


def test_a_file_of_all_rows(fits, tmp_path):
    """Other missing values and more categories in later chunks; what is there is replaced."""
    whole, parts = fits
    target = tmp_path / "augmented.parquet"
    target.write_text("old")
    assert parts.augment(to=target) == target
    assert [p.name for p in tmp_path.iterdir()] == ["augmented.parquet"]
    written = pd.read_parquet(target, dtype_backend="numpy_nullable")
    same_rows(written, whole.augment(measured()).reset_index(drop=True))
    again = parts.augment(target, to=tmp_path / "again.parquet")
    assert pq.read_table(again).column_names == pq.read_table(target).column_names


def test_categories_may_grow_in_a_file(tmp_path):
    names = [f"label {i}" for i in range(900)]
    data = pd.DataFrame({"y": np.sin(np.arange(900.0)), "g": np.arange(900) % 7, "name": names})
    data.loc[:299, "name"] = None
    fit = lf.lmer("y ~ 1 + (1 | g)", lf.stream(data, chunk_rows=300))
    written = pd.read_parquet(fit.augment(to=tmp_path / "rows.parquet"))
    assert written["name"].isna().sum() == 300
    assert written["name"].tolist()[300:] == names[300:]


def test_columns_that_no_model_could_use_are_left_out(tmp_path):
    import pyarrow as pa

    path = parquet(measured()[["y", "x", "g"]], tmp_path)
    table = pq.read_table(path)
    pq.write_table(table.append_column("tags", pa.array([["a", "b"]] * N)), path)
    fit = lf.lmer("y ~ x + (1 | g)", path)
    with pytest.warns(lf.DataWarning, match="leaves out") as caught:
        batches = list(fit.augment())
    assert caught[0].message.columns == ("tags",)
    assert "tags" not in batches[0]


def test_chunks_without_used_rows_are_passed_over(tmp_path):
    data = measured()
    data.loc[100:199, "y"] = np.nan
    data.loc[200:299, "x"] = np.nan
    data["g"] = data["g"].where(data["y"].notna(), 999)
    fit = lf.lmer("y ~ poly(x, 2) + (1 | g)", pieces(parquet(data, tmp_path)))
    batches = list(fit.augment())
    assert [len(batch) for batch in batches] == [100, 98, 20]
    empty = measured().assign(y=np.nan)
    assert fit.augment(empty).empty
    with refused(lf.DataError, "nothing to write", "at least one row"):
        fit.augment(lf.stream(empty), to=tmp_path / "none.parquet")
    assert [p.name for p in tmp_path.iterdir()] == ["rows.parquet"]


def test_krylov_has_no_leverages(path):
    fit = lf.lmer("y ~ x + (1 | g) + (1 | h)", pieces(path), method="krylov", precision=0.3)
    batch = next(fit.augment())
    assert {".fitted", ".resid"} <= set(batch)
    assert not {".hat", ".cooksd"} & set(batch)
    memory = lf.lmer("y ~ x + (1 | g) + (1 | h)", measured(), method="krylov", precision=0.3)
    assert ".hat" not in memory.augment()


# Predicting


@pytest.mark.parametrize(
    "options",
    [
        {"new_levels": "zero"},
        {"random": "none"},
        {"random": ["g"]},
        {"new_levels": "zero", "interval": "prediction"},
        {"random": "none", "interval": "confidence", "ddf": "kenward-roger-observed"},
    ],
    ids=str,
)
def test_predictions_are_those_in_memory(fits, path, options, tmp_path):
    whole, parts = fits
    expected = pd.DataFrame(whole.predict(measured(), **options))
    for fit in fits:
        same_rows(together(fit.predict(pieces(path), **options)), expected)
    file = parts.predict(path, to=str(tmp_path / "p.parquet"), **options)
    same_rows(pd.read_parquet(file), expected)


def test_only_the_columns_needed_are_read(fits):
    """A list that cannot be read stands beside them; a weight that is computed is found."""
    _, parts = fits
    data = measured()[["x", "x2", "g", "h", "f", "o", "w"]].assign(w=4.0, tags=[[1]] * N)
    light, heavy = (
        together(parts.predict(lf.stream(rows), new_levels="zero", interval="prediction"))
        for rows in (data, data.assign(w=0.01))
    )
    assert (light["se"] > heavy["se"]).sum() == N - 4  # four rows have a gap
    with pytest.warns(lf.DataWarning, match="weight of one"):
        list(
            parts.predict(
                lf.stream(data.drop(columns="w")), new_levels="zero", interval="prediction"
            )
        )


def test_residual_variances_are_those_of_the_rows():
    data = lf.load_dataset("sleepstudy")
    fit = lf.lmer("Reaction ~ 1 + (1 | Subject)", data, variance="exp(Days)")
    found = together(fit.predict(lf.stream([data[:90], data[90:]]), interval="prediction"))
    same_rows(found, fit.predict(data, interval="prediction"))


# Refusals


def test_levels_that_were_not_fitted(fits, tmp_path):
    _, parts = fits
    data = measured()
    data.loc[150, "g"] = 777
    path = parquet(data, tmp_path)
    with refused(lf.DataError, "levels of `g`", 'new_levels="zero"') as caught:
        parts.predict(pieces(path), new_levels="raise", random=["g"], to=tmp_path / "p.parquet")
    assert caught.value.where == "rows.parquet, row group 1"
    with refused(lf.DataError, "`g` has levels", "predict") as caught:
        list(parts.augment(pieces(path)))
    assert caught.value.levels == ("777",)
    data.loc[150, "g"], data.loc[50, "f"] = 101, "unused"
    with refused(lf.DataError, "`f` has categories", "leave these rows out") as caught:
        list(parts.predict(pieces(parquet(data, tmp_path)), random="none"))
    assert caught.value.where == "rows.parquet, row group 0"
    assert [p.name for p in tmp_path.iterdir()] == ["rows.parquet"]


def test_declared_levels_are_those_of_new_rows_too(path):
    """Declared levels spare a pass; a value outside them is an error of the data, not a level."""
    levels = {"g": list(range(100, 118)), "h": [f"h{i}" for i in range(6)], "f": ["a", "b", "c"]}
    stream = lf.stream(path, levels=levels, chunk_rows=100)
    fit = lf.lmer("y ~ x + f + (1 | g) + (1 | h)", stream)
    whole = lf.lmer("y ~ x + f + (1 | g) + (1 | h)", measured())
    same_rows(together(fit.augment()), whole.augment(measured()))
    fewer = lf.stream(path, levels=levels | {"h": ["h0", "h1"]})
    with refused(lf.DataError, "`h` has levels", "declare all levels"):
        list(fit.predict(fewer))


def test_members_of_a_relationship_without_data_have_no_residual():
    data = measured().dropna()
    members = [str(level) for level in sorted(data["g"].unique())] + ["777"]
    known = {"g": (np.eye(len(members)), members)}
    fit = lf.lmer("y ~ x + (1 | g)", lf.stream(data), relationship=known)
    assert fit.augment(data)[".fitted"].notna().all()
    other = data.assign(g=data["g"].where(data["g"] != 103, 777))
    with refused(lf.DataError, "`g` has levels", "fitted to"):
        fit.augment(other)
    assert fit.predict(other).notna().all()


def test_arrays_cannot_be_found_in_pieces(path):
    data = measured()
    for role in ("weights", "offset"):
        fit = lf.lmer("y ~ x + (1 | g)", data, **{role: np.ones(N)})
        with refused(lf.DataError, f"model's {role}", f'`{role}="{role}"`'):
            fit.augment(pieces(path))


def test_expressions_of_all_rows_have_other_values_in_pieces(path):
    """``mean(x)`` was learned at fitting; numpy's would be that of each chunk."""
    learned = lf.lmer("y ~ I(x - mean(x)) + (1 | g)", measured())
    expected = learned.predict(measured(), random="none")
    found = together(learned.predict(pieces(path), random="none"))["predicted"]
    np.testing.assert_allclose(found, expected, rtol=1e-9)
    fit = lf.lmer("y ~ I(x - np.nanmean(x)) + (1 | g)", measured())
    for batches in (fit.predict(pieces(path), random="none"), fit.augment(pieces(path))):
        with refused(lf.FormulaError, "needs all rows at once", "`mean(x)`"):
            next(batches)


def test_structured_residuals_need_all_rows(path):
    fit = lf.lmer("y ~ x + (1 | g)", measured(), variance="ident(flag)")
    with refused(lf.OptionError, "read again", "`augment()`"):
        fit.augment(pieces(path))


@pytest.mark.parametrize(
    ("to", "message", "advice"),
    [
        ("missing/p.parquet", "does not exist", "mkdir"),
        (".", "is a folder", "rows.parquet"),
        (3, "must be the path", "rows.parquet"),
    ],
)
def test_targets_that_cannot_be_written(fits, path, to, message, advice, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for call in (fits[1].augment, lambda to: fits[1].predict(path, random="none", to=to)):
        with refused(lf.OptionError, message, advice):
            call(to=to)


def test_targets_are_for_pieces(fits):
    whole, parts = fits
    for call in (
        lambda: whole.augment(to="x.parquet"),
        lambda: parts.augment(measured(), to="x.parquet"),
        lambda: parts.predict(measured(), random="none", to="x.parquet"),
    ):
        with refused(lf.OptionError, "in memory", "lf.stream(data)"):
            call()


def test_options_are_checked_before_anything_is_read(fits, path):
    _, parts = fits
    with refused(lf.OptionError, "is not a kind of interval", "confidence"):
        parts.predict(path, interval="tolerance")
    with refused(lf.OptionError, "`ddf='exact'`", "satterthwaite"):
        parts.predict(path, interval="confidence", ddf="exact")


@pytest.mark.parametrize(
    "name",
    ["fittedvalues", "resid", "leverage", "simulate", "bootstrap", "influence", "ranova", "drop1",
     "refit", "predict", "marginal_covariance", "mixed_model_equations", "r2", "anova"],
)  # fmt: skip
def test_what_needs_rows_says_so(fits, name):
    _, parts = fits
    arguments = {"simulate": (1, 1), "bootstrap": (1, 1), "refit": (np.ones(N),)}.get(name, ())
    with refused(lf.DataError, "were read in pieces", "augment(to=...)"):
        found = getattr(parts, name)
        found(*arguments)


def test_data_that_could_be_read_once(path):
    data = measured()
    fit = lf.lmer("y ~ x + (1 | g)", (data[i : i + 100] for i in range(0, N, 100)))
    with refused(lf.DataError, "`augment` needs the rows", "pass them"):
        fit.augment()
    assert sum(len(batch) for batch in fit.augment(path)) == fit.nobs


# Interruptions and progress


class Stop(KeyboardInterrupt):
    """Ctrl-C in the middle."""


def stopping(done: int, total: int) -> None:
    if done >= 200:
        raise Stop


def test_an_interruption_leaves_nothing(fits, path, tmp_path, monkeypatch):
    _, parts = fits
    target = tmp_path / "rows.parquet"
    target.write_text("as it was")
    with pytest.raises(Stop):
        parts.augment(to=target, progress=stopping)
    with pytest.raises(Stop):
        lf.lmm("y ~ x + (1 | g)", pieces(path), progress=stopping)
    write, count = ParquetSink.write, []

    def interrupted(self, batch):
        write(self, batch)
        count.append(len(batch))
        if len(count) == 2:
            raise Stop

    monkeypatch.setattr(ParquetSink, "write", interrupted)
    with pytest.raises(Stop):
        parts.predict(pieces(path), random="none", to=target)
    assert [p.name for p in tmp_path.iterdir()] == ["rows.parquet"]
    assert target.read_text() == "as it was"


def test_progress_is_told_in_rows(fits, path):
    _, parts = fits
    told = []
    list(parts.augment(progress=lambda done, total: told.append((done, total))))
    assert told == [(100, N), (200, N), (300, N), (400, N), (N, N)]
    told.clear()
    lf.lmm("y ~ x + (1 | g)", pieces(path), progress=lambda *now: told.append(now))
    assert told[-1] == (N, N)
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    frames = lf.stream(lambda: (measured()[i : i + 210] for i in (0, 210)))
    told.clear()
    lf.lmm("y ~ x + (1 | g)", frames, progress=lambda *now: told.append(now))
    assert told[-1] == (N, 0)
    steps = []
    lf.lmer("y ~ x + (1 | g)", pieces(path), progress=steps.append)
    assert steps[0].evaluation == 1
    with refused(lf.OptionError, "`progress` must be", "progress=True"):
        lf.lmm("y ~ x + (1 | g)", path, progress="yes")
