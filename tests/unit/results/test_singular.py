"""Singular fits are flagged and named."""

from __future__ import annotations

import numpy as np
import pytest

import lmmformula as lf
from lmmformula.errors import SingularFitWarning
from lmmformula.matrices import RandomBlock
from lmmformula.postfit.singular import effect_scales, find_singularities, singular_warning


def block(*effects):
    k = len(effects)
    return RandomBlock(
        z=np.ones((4, k)),
        codes=np.zeros(4, dtype=np.int32),
        levels=np.array(["1"], dtype=object),
        effect_names=effects,
        group="g",
        structure="us",
        text=f"({' + '.join(effects)} | g)",
    )


def find(template, *effects):
    template = np.array(template, dtype=float)
    return find_singularities([block(*effects)], [template], [10.0 ** np.arange(len(effects))])


def names(found):
    return [item.parameter for item in found]


def test_a_regular_fit():
    assert find([[1.0, 0], [0.1, 0.5]], "a", "b") == ()
    assert find([[2e-4]], "a") == ()


def test_a_zero_variance():
    assert names(find([[0.0]], "a")) == ["sd_a|g"]
    assert names(find([[1.0, 0], [0, 0]], "a", "b")) == ["sd_b|g"]
    assert names(find([[0.0, 0], [0, 0]], "a", "b")) == ["sd_a|g", "sd_b|g"]


@pytest.mark.parametrize("sign", [1, -1])
def test_a_correlation_of_one(sign):
    found = find([[1.0, 0], [sign * 0.5, 0]], "a", "b")
    assert names(found) == ["cor_b.a|g"]
    assert found[0].sentence == f"the correlation of `a` and `b` in `(a + b | g)` is {sign:+d}"


def test_a_combination_of_other_effects():
    found = find([[1.0, 0, 0], [0, 1, 0], [0.5, 0.5, 0]], "a", "b", "c")
    assert names(found) == ["sd_c|g"]
    assert "combination" in found[0].sentence


def test_zero_and_one_together():
    template = [[0.0, 0, 0], [0, 1, 0], [0, 2, 0]]
    assert names(find(template, "a", "b", "c")) == ["sd_a|g", "cor_c.b|g"]


def test_the_scale_of_a_column_does_not_matter():
    assert find([[1.0, 0], [0, 2e-5]], "a", "b") == ()  # 2e-4 in the column's own unit
    assert names(find([[1.0, 0], [0, 5e-6]], "a", "b")) == ["sd_b|g"]


@pytest.mark.parametrize("unit", [1e-50, 1.0, 1e50])
@pytest.mark.parametrize("term", ["(Days | Subject)", "(Days || Subject)", "diag(Days | Subject)"])
def test_scales_are_root_mean_squares(term, unit):
    data = lf.load_dataset("sleepstudy")
    data["Days"] *= unit
    scales = effect_scales(lf.lmm(f"Reaction ~ 1 + {term}", data).system)
    expected = [1.0, unit * np.sqrt(28.5)]
    assert np.concatenate(scales) / expected == pytest.approx([1.0, 1.0], rel=1e-8)


def test_the_warning_names_them():
    warning = singular_warning(find([[1.0, 0], [-0.5, 0]], "a", "b"))
    assert warning.parameters == ("cor_b.a|g",)
    assert str(warning).startswith(
        "the fit is singular: the correlation of `a` and `b` in `(a + b | g)` is -1."
    )


def test_a_singular_fit_warns_and_says_so_first():
    with pytest.warns(SingularFitWarning, match="variance of `Intercept`") as caught:
        fit = lf.lmer("Yield ~ 1 + (1 | Batch)", lf.load_dataset("dyestuff2"))
    assert caught[0].message.parameters == ("sd_Intercept|Batch",)
    assert caught[0].filename == __file__
    assert fit.is_singular
    assert fit.converged
    assert fit.theta.tolist() == [0.0]
    first_screen = str(fit).splitlines()[:12]
    assert any("singular fit" in line for line in first_screen)
    assert "the variance of `Intercept` in `(1 | Batch)` is zero" in str(fit)
    assert np.allclose(fit.ranef(condvar=True)["sd"], 0.0)
