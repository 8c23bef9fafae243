"""Publication tables: the right numbers in the right rows, written as asked."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

import lmmformula as lf
from lmmformula.errors import OptionError


def row(table, label):
    """Return the cells beside a label; line by line in the text, the first that fits."""
    return next(cells[1:] for cells in table.table.cells() if cells[0] == label)


def below(table, label, lines=1):
    cells = table.table.cells()
    start = [line[0] for line in cells].index(label)
    return cells[start + lines][1:]


def test_numbers_are_those_of_the_fits(two):
    frame = lf.etable(*two).to_frame()
    for column, fit in zip(frame.columns, two, strict=True):
        fixed = frame[column]["Fixed effects"].unstack("statistic")
        expected = fit.summary().frame
        pd.testing.assert_frame_equal(
            fixed.loc[expected.index, expected.columns],
            expected,
            check_exact=True,
            check_names=False,
        )
        random = frame[column]["Random effects"].droplevel("statistic").dropna()
        parameters = fit.varcorr.parameters()
        assert set(random.index) == set(parameters.index)
        assert np.array_equal(random[parameters.index].to_numpy(), parameters.to_numpy())
        size = frame[column]["Sample and fit"].droplevel("statistic")
        assert size["nobs"] == fit.nobs
        assert size["ngroups Subject"] == 18
        assert (size["llf"], size["aic"], size["bic"]) == (fit.llf, fit.aic, fit.bic)
        assert size["r2_marginal"] == fit.r2().marginal
        assert size["r2_conditional"] == fit.r2().conditional
        assert size["icc"] == fit.icc().adjusted


def test_cells_below(two):
    table = lf.etable(*two)
    assert row(table, "Days") == ("10.467", "10.467")
    assert below(table, "Days") == ("(0.804)", "(1.546)")
    assert row(table, "Subject: SD Days") == ("", "5.922")
    assert row(table, "Subject: corr. Intercept, Days") == ("", "0.066")
    assert row(table, "Observations") == ("180", "180")
    assert row(table, "Estimation") == ("REML", "REML")


def test_statistics_in_the_order_asked_for(two):
    table = lf.etable(two[1], statistic=["ci", "t", "df", "p"], style="apa", digits=2)
    wanted = ["[7.21, 13.73]", "t(17.0) = 6.77", "df = 17.0", "p < .001"]
    assert [below(table, "Days", i + 1) for i in range(4)] == [(text,) for text in wanted]
    assert "95 % confidence intervals in brackets." in table.table.notes[0]


def test_statistics_beside(two):
    table = lf.etable(*two, statistic=["se", "p"], layout="beside", style="apa", names=["A", "B"])
    assert table.table.heading == ("", "Estimate", "SE", "p", "Estimate", "SE", "p")
    assert table.table.spans == (("", 1), ("A", 3), ("B", 3))
    assert row(table, "Days") == ("10.467", "0.804", "< .001", "10.467", "1.546", "< .001")
    assert row(table, "ICC") == (".589", "", "", ".722", "", "")


def test_a_single_model_needs_no_name(two):
    assert lf.etable(two[0]).table.heading == ("", "Estimate")
    beside = lf.etable(two[0], layout="beside")
    assert (beside.table.heading, beside.table.spans) == (("", "Estimate", "SE"), ())
    assert lf.etable(two[0], layout="beside", names=["A"]).table.spans == (("", 1), ("A", 2))


def test_wald_tests_are_called_z(two):
    table = lf.etable(two[1], statistic=["t", "df"], layout="beside", ddf="wald")
    assert table.table.heading == ("", "Estimate", "z", "df")
    assert row(table, "Days")[1:] == ("6.771", "inf")


@pytest.mark.parametrize(
    ("stars", "expected"),
    [(True, "***"), ({"+": 0.1, "*": 0.05}, "*"), ({"†": 1e-9}, ""), (False, "")],
)
def test_stars(two, stars, expected):
    assert row(lf.etable(two[1], stars=stars), "Days") == (f"10.467{expected}",)


def test_legend_of_stars_is_in_the_style(two):
    assert (
        "* p < .05, ** p < .01, *** p < .001." in lf.etable(*two, stars=True, style="apa").as_text()
    )
    assert "+ p < 0.1." in lf.etable(*two, stars={"+": 0.1}).as_text()


def test_kenward_roger_and_robust_errors(two):
    large = two[1]
    table = lf.etable(large, ddf="kenward-roger", statistic="df").to_frame()["Estimate"]
    assert (
        table["Fixed effects", "Days", "df"]
        == large.summary("kenward-roger").frame.loc["Days", "df"]
    )
    robust = lf.etable(two[0], robust="CR2")
    se = robust.to_frame()["Estimate"]["Fixed effects", "Days", "se"]
    assert se == pytest.approx(
        two[0].cov_params(robust="CR2").loc["Days", "Days"] ** 0.5, rel=1e-12
    )
    assert any("CR2" in note for note in robust.table.notes)


def test_clusters_without_a_robust_covariance_are_refused(two):
    with pytest.raises(OptionError, match="`cluster` without `robust`"):
        lf.etable(*two, cluster="Subject")


def test_small_numbers_keep_digits():
    data = lf.load_dataset("sleepstudy")
    data["micro"] = data["Days"] * 1e6
    fit = lf.lmer("Reaction ~ micro + (1 | Subject)", data)
    table = lf.etable(fit, digits=2)
    assert row(table, "micro") == ("0.0000105",)
    assert below(table, "micro") == ("(0.0000008)",)
    assert row(table, "Intercept") == ("251.41",)


def test_rows_of_different_models_join():
    data = lf.load_dataset("sleepstudy")
    first = lf.lmer("Reaction ~ Days + (1 | Subject)", data)
    second = lf.lmer("Reaction ~ I(Days^2) + Days + (1 | Subject)", data)
    table = lf.etable(first, second)
    assert list(dict.fromkeys(e.name for e in table.entries[:3])) == [
        "Intercept",
        "I(Days ** 2)",
        "Days",
    ]
    assert row(table, "I(Days ** 2)")[0] == ""


def test_structures_have_their_parameters():
    data = lf.load_dataset("sleepstudy")
    random = lf.lmer("Reaction ~ Days + cs(Days | Subject)", data)
    gls = lf.lmer("Reaction ~ Days", data, residual="ar1(Days | Subject)")
    table = lf.etable(random, gls)
    assert row(table, "Subject: rho (cs)") == (
        f"{random.varcorr.parameters()['rho|Subject']:.3f}",
        "",
    )
    rho = gls.residual_structure.parameters()["rho"]
    assert row(table, "Residual: rho") == ("", f"{rho:.3f}")
    assert row(table, "Groups: Subject") == ("18", "")
    assert row(table, "ICC")[1] == ""
    assert "(2): residuals `ar1(Days | Subject)`." in table.table.notes


def test_labels_reach_every_part(two):
    names = {"Days": "Days awake", "Subject": "Person", "sigma": "Noise"}
    table = lf.etable(two[1], coef_names=names)
    labels = [cells[0] for cells in table.table.cells()]
    expected = ["Days awake", "Person: SD Days awake", "Groups: Person", "Noise"]
    assert set(expected) <= set(labels)
    upper = lf.etable(two[1], coef_names=str.upper)
    assert row(upper, "DAYS") == ("10.467",)


def test_keep_drop_and_order():
    fit = lf.lmer("score ~ Machine + (1 | Worker)", lf.load_dataset("machines"))

    def fixed(**options):
        table = lf.etable(fit, **options)
        return [e.name for e in table.entries if e.part == "Fixed effects"]

    assert fixed(keep="Machine*") == ["Machine[T.B]", "Machine[T.C]"]
    assert fixed(drop="Intercept") == ["Machine[T.B]", "Machine[T.C]"]
    assert fixed(order=["Machine[T.C]"]) == ["Machine[T.C]", "Intercept", "Machine[T.B]"]


def test_parts_can_be_left_out(two):
    parts = {e.name for e in lf.etable(two[1], random="sd", fit=[]).entries}
    assert "cor_Days.Intercept|Subject" not in parts
    assert "sd_Days|Subject" in parts
    assert "aic" not in parts
    assert not any(e.part == "Random effects" for e in lf.etable(two[1], random=False).entries)


def test_names_from_a_mapping(two):
    table = lf.etable({"Intercepts": two[0], "Slopes": two[1]})
    assert table.table.heading == ("", "Intercepts", "Slopes")


def test_responses_are_named_where_they_differ(two):
    other = lf.lmer("log(Reaction) ~ Days + (1 | Subject)", lf.load_dataset("sleepstudy"))
    assert row(lf.etable(two[0], other), "Response") == ("Reaction", "log(Reaction)")
    assert not any(e.name == "response" for e in lf.etable(*two).entries)


def test_likelihoods_that_do_not_compare_are_said_to(two):
    assert not any("compare" in note for note in lf.etable(*two).table.notes)
    ml = two[1].refit_ml()
    assert any("compared" in note for note in lf.etable(two[0], ml).table.notes)
    assert not any("compared" in note for note in lf.etable(two[0], ml, fit="icc").table.notes)
    part = lf.lmer("Reaction ~ Days + (1 | Subject)", lf.load_dataset("sleepstudy").iloc[10:])
    notes = lf.etable(two[0], part, names=["all", "part"]).table.notes
    assert any("other rows than all" in note and note.endswith("part.") for note in notes)


def test_singular_fits_are_said_to_be(recwarn):
    model = lf.lmm("Reaction ~ Days + (Days | Subject)", lf.load_dataset("sleepstudy"))
    singular = model.at([0.9, 0.2, 0.0])
    assert singular.is_singular
    assert any(note.startswith("Singular fit") for note in lf.etable(singular).table.notes)


@pytest.mark.parametrize(
    ("options", "attribute"),
    [
        ({"statistic": "sd"}, "statistic"),
        ({"layout": "side"}, "layout"),
        ({"style": "ama"}, "style"),
        ({"random": "corr"}, "random"),
        ({"fit": ["aicc"]}, "fit"),
        ({"stars": 0.05}, "stars"),
        ({"stars": {"*": 5}}, "stars"),
        ({"digits": -1}, "digits"),
        ({"digits": 2.5}, "digits"),
        ({"names": ["a"]}, "names"),
        ({"names": "ab"}, "names"),
        ({"coef_names": {"Days": 3}}, "coef_names"),
        ({"coef_names": "Days"}, "coef_names"),
        ({"keep": "Day"}, "keep"),
        ({"drop": ["Dais"]}, "drop"),
        ({"order": "x*"}, "order"),
    ],
)
def test_bad_options_are_named(two, options, attribute):
    with pytest.raises(OptionError) as caught:
        lf.etable(*two, **options)
    assert caught.value.argument == attribute


def test_nothing_to_show(two):
    with pytest.raises(OptionError):
        lf.etable()
    with pytest.raises(OptionError):
        lf.etable(two[0].summary())
    with pytest.raises(OptionError):
        lf.etable(two[0], drop="*")


def test_nearest_name_is_suggested(two):
    with pytest.raises(OptionError, match=re.escape('keep=["Days"]')):
        lf.etable(two[0], keep="Dayz")
