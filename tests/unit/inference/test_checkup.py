"""What `check()` says, and when it is silent."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd

import lmmformula as lf
from lmmformula.inference.diagnostics import checkup_rows


def grouped(n_groups=30, rows=12, seed=3):
    rng = np.random.default_rng(seed)
    g = np.repeat(np.arange(n_groups), rows)
    data = pd.DataFrame({"g": g, "x": rng.normal(size=len(g))})
    data["y"] = data["x"] + rng.normal(size=n_groups)[g] + rng.normal(size=len(g))
    return data


def checked(formula, data, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # bad fits are made on purpose
        return lf.lmer(formula, data, **options).check()


def found(check, topic):
    return [finding for finding in check.findings if finding.topic == topic]


def test_silence():
    check = checked("y ~ x + (1 | g)", grouped())
    assert len(check) == 0
    assert check.is_clean
    assert str(check) == "Nothing stands out."
    assert list(check.to_frame().columns) == [
        "severity",
        "topic",
        "about",
        "sentence",
        "suggestion",
    ]


def test_singular_and_few_levels():
    check = checked("Yield ~ 1 + (1 | Batch)", lf.load_dataset("dyestuff2"))
    assert set(check.topics) == {"singular", "few levels"}
    assert found(check, "singular")[0].about == "sd_Intercept|Batch"
    assert not check.is_clean
    three = grouped(n_groups=3)
    assert found(checked("y ~ x + (1 | g)", three), "few levels")[0].severity == "caution"


def test_not_converged():
    data = grouped()
    check = checked(
        "y ~ x + (x | g)", data, optimizer=lf.optimize.Newton(max_evaluations=2), start=50.0
    )
    assert check.findings[0].topic == "not converged"
    assert check.findings[0].severity == "problem"


def test_heteroscedastic_and_outliers():
    data = grouped(40, 12)
    rng = np.random.default_rng(5)
    mean = 5 * data["x"]
    data["y"] = mean + np.exp(0.3 * mean) * rng.normal(size=len(data))
    check = checked("y ~ x + (1 | g)", data)
    assert "heteroscedastic" in check.topics
    assert "fitted values are large" in found(check, "heteroscedastic")[0].sentence
    wild = grouped()
    wild.loc[17, "y"] += 30.0
    outliers = found(checked("y ~ x + (1 | g)", wild), "outliers")
    assert outliers[0].about == "17"


def test_residual_spread_by_factor():
    data = grouped(40, 12)
    rng = np.random.default_rng(5)
    data["arm"] = np.where(np.arange(len(data)) % 2, "a", "b")
    data["y"] += 3.0 * (data["arm"] == "a") * rng.normal(size=len(data))
    said = found(checked("y ~ x + arm + (1 | g)", data), "heteroscedastic")
    assert [finding.about for finding in said] == ["arm"]


def test_skewed_residuals():
    data = grouped()
    data["y"] = data["x"] + np.random.default_rng(0).lognormal(sigma=1.0, size=len(data))
    assert "skewed residuals" in checked("y ~ x + (1 | g)", data).topics


def test_influential_and_outlying_levels():
    data = grouped()
    far = data["g"] == 4
    data.loc[far, "x"] += 15.0
    data.loc[far, "y"] -= 60.0
    check = checked("y ~ x + (1 | g)", data)
    assert "g 4" in {finding.about for finding in found(check, "influential levels")}
    shifted = grouped()
    shifted.loc[shifted["g"] == 4, "y"] += 40.0
    check = checked("y ~ x + (1 | g)", shifted)
    assert found(check, "outlying levels")[0].about == "g 4"


def test_collinear_and_scale():
    data = grouped()
    rng = np.random.default_rng(1)
    data["copy"] = data["x"] + 0.05 * rng.normal(size=len(data))
    said = found(checked("y ~ x + copy + (1 | g)", data), "collinear")
    assert len(said) == 1
    assert "`x`, `copy`" in said[0].sentence
    data["money"] = 1e6 * rng.normal(size=len(data))
    assert "scale" in checked("y ~ x + money + (1 | g)", data).topics


def test_nearly_collinear_random_effects():
    data = grouped(60, 20)
    rng = np.random.default_rng(2)
    b = rng.normal(size=60)
    data["y"] = (
        2 * b[data["g"]]
        + 2 * data["x"] * (b + 0.12 * rng.normal(size=60))[data["g"]]
        + 0.3 * rng.normal(size=len(data))
    )
    said = found(checked("y ~ x + (x | g)", data), "random correlation")
    assert said[0].about == "cor_x.Intercept|g"


def test_many_parameters_and_few_rows():
    check = checked("score ~ Machine + (0 + Machine | Worker)", lf.load_dataset("machines"))
    assert "many parameters" in check.topics
    tiny = grouped(6, 3)
    for name in "abc":
        tiny[name] = np.random.default_rng(ord(name)).normal(size=len(tiny))
    assert "few rows" in checked("y ~ x + a + b + c + (1 | g)", tiny).topics


def test_no_fixed_counterpart():
    data = grouped()
    assert "no fixed counterpart" in checked("y ~ 1 + (x | g)", data).topics
    assert "no fixed counterpart" not in checked("y ~ x + (x | g)", data).topics
    machines = lf.load_dataset("machines")
    for formula in (
        "score ~ Machine + (0 + Machine | Worker)",
        "score ~ 0 + Machine + (1 | Worker)",
    ):
        assert "no fixed counterpart" not in checked(formula, machines).topics


def test_left_out():
    data = grouped()
    data.loc[:59, "x"] = np.nan
    data["twice"] = 2 * data["x"]
    check = checked("y ~ x + twice + (1 | g)", data)
    assert {"dropped columns", "dropped rows"} <= set(check.topics)


def test_rows_per_level():
    rng = np.random.default_rng(0)
    data = pd.DataFrame({"g": np.arange(100) % 90, "y": rng.normal(size=100)})
    assert "rows per level" in checked("y ~ 1 + (1 | g)", data).topics


def test_without_rows():
    check = checked("y ~ x + (1 | g)", grouped(), keep_data=False)
    assert check.topics == ("no rows",)
    assert check.is_clean


def test_the_gravest_come_first():
    check = checked("Reaction ~ Days + I(Days^2) + (1 | Subject)", lf.load_dataset("sleepstudy"))
    order = ["problem", "caution", "note"]
    ranks = [order.index(finding.severity) for finding in check.findings]
    assert ranks == sorted(ranks)
    assert repr(check).startswith("Caution: ")
    assert len(check.to_frame()) == len(check) > 2


def test_influence_is_left_out_where_it_would_take_long(monkeypatch):
    monkeypatch.setattr(checkup_rows, "MOST_WORK", 10.0)
    check = checked("diameter ~ 1 + (1 | plate) + (1 | sample)", lf.load_dataset("penicillin"))
    assert [finding.about for finding in found(check, "not looked at")] == ["plate", "sample"]
