"""A warning is given once, at the caller's line, and says what to do."""

from __future__ import annotations

import warnings
from collections import Counter

import numpy as np
import pytest

import lmmformula as lf
from lmmformula.errors import LMMWarning


def sleepstudy(**columns):
    return lf.load_dataset("sleepstudy").assign(**columns)


def with_a_gap():
    data = sleepstudy()
    data.loc[3, "Reaction"] = np.nan
    return data


def singular():
    return lf.lmer("Yield ~ 1 + (1 | Batch)", lf.load_dataset("dyestuff2"))


MODEL = "Reaction ~ Days + (Days | Subject)"
CALLS = {
    "a singular fit": singular,
    "a singular refit": lambda: quiet(singular).refit_ml(),
    "rows dropped": lambda: lf.lmer(MODEL, with_a_gap()),
    "an aliased column": lambda: lf.lmer(
        "Reaction ~ Days + twice + (1 | Subject)",
        sleepstudy(twice=2 * lf.load_dataset("sleepstudy")["Days"]),
    ),
    "rows dropped and an aliased column": lambda: lf.lmer(
        "Reaction ~ Days + twice + (1 | Subject)", with_a_gap().assign(twice=lambda d: 2 * d.Days)
    ),
    "bars around a factor": lambda: lf.lmm(
        "score ~ Machine + (Machine || Worker)", lf.load_dataset("machines")
    ),
    "a level for every row": lambda: lf.lmm(
        "Reaction ~ Days + (1 | row)", sleepstudy(row=np.arange(180).astype(str)), checks="warn"
    ),
}


def quiet(call):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LMMWarning)
        return call()


def given(call):
    """Every warning of a call, whatever was given before."""
    with warnings.catch_warnings(record=True) as spoken:
        warnings.simplefilter("always")
        call()
    return spoken


@pytest.mark.parametrize("name", CALLS)
def test_said_once_here_and_with_advice(name):
    spoken = given(CALLS[name])
    assert spoken
    texts = Counter(str(warning.message) for warning in spoken)
    assert set(texts.values()) == {1}
    for warning in spoken:
        assert issubclass(warning.category, LMMWarning)
        assert warning.filename == __file__
        assert "\nTry: " in str(warning.message)


@pytest.mark.parametrize(
    "what",
    ["summary", "conf_int", "icc", "check", "ranova", "predict", "profile", "influence"],
)
def test_what_a_fit_has_warned_of_is_not_repeated(what):
    fit = quiet(singular)
    arguments = {"influence": ["Batch"]}.get(what, [])
    assert not given(lambda: str(getattr(fit, what)(*arguments)))


def test_a_loop_warns_once():
    data = lf.load_dataset("dyestuff2")
    with warnings.catch_warnings(record=True) as spoken:
        warnings.simplefilter("default")
        for _ in range(3):
            lf.lmer("Yield ~ 1 + (1 | Batch)", data)
    assert len(spoken) == 1


def test_files_beside_the_package_are_the_callers():
    from lmmformula.design import notify

    beside = notify._PACKAGE.rstrip("/\\") + "_helpers.py"
    code = compile("lf.lmer('Yield ~ 1 + (1 | Batch)', data)", beside, "exec")
    data = lf.load_dataset("dyestuff2")
    spoken = given(lambda: exec(code, {"lf": lf, "data": data}))
    assert [warning.filename for warning in spoken] == [beside]
