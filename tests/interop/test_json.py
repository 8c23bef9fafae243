"""A fit as JSON: every bit comes back, it predicts, and it is re-created from the data."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from formulaic.transforms.contrasts import SumContrasts

import lmmformula as lf
from lmmformula.interop.codec import Unwritable, decode, encode

MODELS = {
    "slopes": ("Reaction ~ Days + (Days | Subject)", "sleepstudy", {}),
    "double bar": ("log(Reaction) ~ ns(Days, 3) + (Days || Subject)", "sleepstudy", {}),
    "contrasts": (
        "angle ~ recipe * poly(temp, 2) + (1 | recipe:replicate)",
        "cake",
        {"contrasts": {"recipe": "sum"}},
    ),
    "wrapped": ("score ~ C(Machine, contr.treatment('B')) + (1 | Worker)", "machines", {}),
    "structure": ("Reaction ~ Days + ou(0 + Days | Subject)", "sleepstudy", {}),
    "residuals": (
        "Reaction ~ scale(Days)",
        "sleepstudy",
        {"residual": "ar1(Days | Subject)", "variance": "power(Days + 1)"},
    ),
    "maximum likelihood": ("Reaction ~ Days + (1 | Subject)", "sleepstudy", {"reml": False}),
}


@pytest.fixture(params=MODELS, scope="module")
def pair(request):
    formula, name, options = MODELS[request.param]
    data = lf.load_dataset(name)
    return lf.lmer(formula, data, **options), data


def test_numbers_come_back_to_the_last_bit(pair):
    fit, _ = pair
    record = lf.from_json(fit.to_json())
    for name in ("params", "bse", "theta", "tvalues"):
        np.testing.assert_array_equal(getattr(record, name), getattr(fit, name), err_msg=name)
    for name in (
        "sigma",
        "objective",
        "llf",
        "aic",
        "bic",
        "nobs",
        "npar",
        "deviance",
        "criterion",
    ):
        assert getattr(record, name) == getattr(fit, name), name
    pd.testing.assert_frame_equal(record.cov_params(), fit.cov_params(), check_exact=True)
    pd.testing.assert_frame_equal(record.varcorr.to_frame(), fit.varcorr.to_frame())
    for group, modes in fit.random_effects.items():
        pd.testing.assert_frame_equal(record.random_effects[group], modes, check_exact=True)
    assert record.converged == fit.converged
    assert record.ngroups == fit.ngroups
    assert record.formula == fit.formula


def test_predicts_without_data(pair):
    fit, data = pair
    record = lf.from_json(fit.to_json())
    new = data.sample(20, random_state=1)
    pd.testing.assert_series_equal(record.predict(new), fit.predict(new), check_exact=True)
    population = fit.predict(new, random="none")
    pd.testing.assert_series_equal(record.predict(new, random="none"), population)


def test_result_is_recreated_from_the_data(pair):
    fit, data = pair
    again = lf.from_json(fit.to_json()).results(data)
    assert again.objective == pytest.approx(fit.objective, rel=1e-12)
    assert again.optimum.status is fit.optimum.status
    pd.testing.assert_frame_equal(again.summary().frame, fit.summary().frame, rtol=1e-6)


def test_writing_again_gives_the_same_text(pair, tmp_path):
    fit, _ = pair
    text = fit.to_json()
    assert lf.from_json(text).to_json() == text
    assert fit.to_json(tmp_path / "fit.json") is None
    assert json.loads((tmp_path / "fit.json").read_text(encoding="utf-8")) == json.loads(text)
    assert lf.from_json(tmp_path / "fit.json").to_json() == text
    assert lf.from_json(str(tmp_path / "fit.json")).to_json() == text
    assert lf.from_json(json.loads(text)).to_json() == text


@pytest.fixture
def small(sleepstudy):
    return lf.lmer("Reaction ~ Days + (1 | Subject)", sleepstudy)


def test_document_says_what_a_reader_needs(small):
    document = json.loads(small.to_json())
    assert document["format"] == "lmmformula fit"
    assert document["version"] == 1
    assert document["written_by"]["lmmformula"] == lf.__version__
    assert document["model"]["formula"] == small.formula
    assert document["fixed_effects"]["estimates"] == small.params.tolist()
    assert document["counts"]["levels"] == {"Subject": 18}
    assert document["convergence"]["converged"] is True
    table = document["covariance_parameters"]["table"]
    assert [row["grp"] for row in table] == ["Subject", "Residual"]
    assert table[0]["sdcor"] == small.varcorr.to_frame()["sdcor"].iloc[0]
    assert "y" not in document  # no rows


def test_given_theta_and_dropped_rows(sleepstudy):
    sleepstudy.loc[[3, 8], "Days"] = np.nan
    with pytest.warns(lf.DroppedRowsWarning):
        model = lf.lmm("Reaction ~ Days + (1 | Subject)", sleepstudy)
    fit = model.at([1.0])
    record = lf.from_json(fit.to_json())
    assert not record.converged
    assert record.document["convergence"]["gradient_norm"] is None
    assert record.document["left_out"]["rows"] == [3, 8]
    assert record.results(model).objective == fit.objective


def test_without_its_rows(sleepstudy):
    kept = lf.lmer("Reaction ~ Days + (1 | Subject)", sleepstudy)
    light = kept.without_data()
    assert lf.from_json(light.to_json()).to_json() == kept.to_json()


def test_arrays_and_subsets_are_given_again(sleepstudy):
    w, rows = np.linspace(1, 2, 180), sleepstudy["Days"] > 1
    fit = lf.lmer("Reaction ~ Days + (1 | Subject)", sleepstudy, weights=w, subset=rows)
    record = lf.from_json(fit.to_json())
    again = record.results(sleepstudy, weights=w, subset=rows)
    np.testing.assert_allclose(again.params, fit.params, rtol=1e-10)
    for options in ({}, {"weights": w}, {"subset": rows}):
        with pytest.raises(lf.DataError):
            record.results(sleepstudy, **options)
    named = sleepstudy.assign(w=w)
    by_name = lf.from_json(lf.lmer(fit.formula, named, weights="w").to_json())
    assert by_name.results(named).nobs == 180


def test_relationship_is_given_again(sleepstudy):
    levels = sleepstudy["Subject"].unique().astype(str)
    K = pd.DataFrame(np.eye(18) * 0.5 + 0.5, index=levels, columns=levels)
    fit = lf.lmer("Reaction ~ Days + (1 | Subject)", sleepstudy, relationship={"Subject": K})
    record = lf.from_json(fit.to_json())
    np.testing.assert_array_equal(record.predict(sleepstudy), fit.predict(sleepstudy))
    again = record.results(sleepstudy, relationship={"Subject": K})
    assert again.objective == pytest.approx(fit.objective, rel=1e-12)
    with pytest.raises(lf.DataError):
        record.results(sleepstudy)


def test_other_data_are_refused(small, sleepstudy):
    record = lf.from_json(small.to_json())
    other = sleepstudy.assign(Reaction=sleepstudy["Reaction"] + sleepstudy["Days"])
    with pytest.raises(lf.DataError):
        record.results(other)
    with pytest.raises(lf.DataError):
        record.results(sleepstudy.head(100))
    with pytest.raises(lf.DataError):
        record.results(lf.lmm("Reaction ~ Days + I(Days^2) + (1 | Subject)", sleepstudy))
    with pytest.raises(lf.OptionError):
        record.results(small.model, subset="Days > 1")


def test_new_levels(small):
    record = lf.from_json(small.to_json())
    new = {"Days": [1.0], "Subject": ["nobody"]}
    with pytest.raises(lf.DataError):
        record.predict(new)
    assert record.predict(new, new_levels="zero")[0] == pytest.approx(record.params.sum())
    with pytest.raises(lf.OptionError):
        record.predict(new, new_levels="guess")


class OwnContrasts(SumContrasts):
    """A coding that no reader could know."""


def test_encoding_that_cannot_be_written_is_said_when_it_is_needed():
    data = lf.load_dataset("machines")
    options = {"contrasts": {"Machine": OwnContrasts()}}
    fit = lf.lmer("score ~ Machine + (1 | Worker)", data, **options)
    record = lf.from_json(fit.to_json())
    np.testing.assert_array_equal(record.params, fit.params)
    with pytest.raises(lf.DataError, match="OwnContrasts"):
        record.predict(data)
    np.testing.assert_allclose(record.results(data, **options).params, fit.params, rtol=1e-10)


@pytest.mark.parametrize(
    "change",
    [
        {"format": "another"},
        {"version": 99},
        {"fit": {}},
        {"random_effects": [{"term": "(1 | g)"}]},
        {"convergence": {"status": "fine"}},
    ],
)
def test_documents_that_are_no_fit(small, change):
    with pytest.raises(lf.DataError):
        lf.from_json(json.loads(small.to_json()) | change)


def test_text_that_is_no_fit(tmp_path):
    (tmp_path / "a.json").write_text("[1, 2]", encoding="utf-8")
    (tmp_path / "b.json").write_text("a,b\n1,2", encoding="utf-8")
    for source in ("{", "{}", tmp_path / "a.json", tmp_path / "b.json", 3):
        with pytest.raises(lf.DataError):
            lf.from_json(source)


def test_an_encoding_that_was_changed_by_hand(small):
    document = json.loads(small.to_json())
    document["encoding"]["spec"]["$"] = "Popen"
    with pytest.raises(lf.DataError):
        lf.from_json(document).predict({"Days": [1], "Subject": ["308"]})
    document["encoding"] = {"spec": {"$": "tuple"}}
    with pytest.raises(lf.DataError):
        lf.from_json(document).predict({"Days": [1], "Subject": ["308"]})


@pytest.mark.parametrize(
    "value",
    [
        (1, 2.5, None, True, "x"),
        [0.1 + 0.2, -0.0],
        {"a": 1, 2: (3,)},
        frozenset({"b", "a"}),
        float("-inf"),
        pd.Timestamp("2020-02-29 12:30"),
    ],
)
def test_values_survive(value):
    there = json.loads(json.dumps(encode(value), allow_nan=False))
    assert decode(there) == value
    assert type(decode(there)) is type(value)


@pytest.mark.parametrize(
    "array",
    [
        np.array([[0.1, np.nan], [np.inf, -0.0]]),
        np.array([], dtype=np.int32),
        np.array([True, False]),
        np.array(["a", "bc"]),
        np.array(["a", "bc"], dtype=object),
    ],
)
def test_arrays_survive(array):
    back = decode(json.loads(json.dumps(encode(array), allow_nan=False)))
    assert back.dtype == array.dtype
    np.testing.assert_array_equal(back, array)


@pytest.mark.parametrize("value", [object(), np.array([1j]), np.complex128(1), print])
def test_objects_without_a_form(value):
    with pytest.raises(Unwritable):
        encode(value)
