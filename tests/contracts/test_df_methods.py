"""Every method of tests on fixed effects: one number per row, joint tests, nothing changed."""

from __future__ import annotations

import numpy as np
import pytest

import lmmformula as lf
from lmmformula.inference.effects.approximation import Approximation, JointTest
from lmmformula.inference.effects.df import DEFAULT_METHOD, DF_METHODS
from lmmformula.report import TABLES, TableOptions, render_all


@pytest.fixture(scope="module")
def fit():
    return lf.lmer("score ~ Machine + (Machine | Worker)", lf.load_dataset("machines"))


def test_the_default_is_registered():
    assert DEFAULT_METHOD in DF_METHODS
    assert TableOptions().ddf == DEFAULT_METHOD


@pytest.mark.parametrize("method", DF_METHODS)
def test_single_tests(fit, method):
    ours = DF_METHODS[method](fit)
    assert isinstance(ours, Approximation)
    assert ours.beta == pytest.approx(fit.params.to_numpy())
    assert ours.vcov == pytest.approx(ours.vcov.T)
    assert (np.linalg.eigvalsh(ours.vcov) > 0).all()
    rows = np.array([[1.0, 0, 0], [0, 1, -1], [1, 0.5, 0.5]])
    df = ours.df(rows)
    assert df.shape == (3,)
    assert (df > 0).all()
    assert ours.df(-4.0 * rows) == pytest.approx(df)
    assert isinstance(ours.notes, tuple)


@pytest.mark.parametrize("method", DF_METHODS)
def test_joint_tests(fit, method):
    ours = fit.approximation(method)
    rows = np.eye(3)[1:]
    test = ours.joint(rows)
    assert isinstance(test, JointTest)
    assert test.num_df == 2
    assert 0 < test.statistic <= test.unscaled * (1 + 1e-9)
    assert ours.joint(np.vstack([rows, rows[0] - rows[1]])).num_df == 2
    one = ours.joint(rows[:1])
    assert one.statistic == pytest.approx((ours.beta[1] ** 2) / ours.vcov[1, 1])
    assert one.den_df == pytest.approx(ours.df(rows[:1])[0])


@pytest.mark.parametrize("method", DF_METHODS)
def test_every_table_can_be_written(fit, method):
    made = [make(fit, TableOptions(ddf=method)) for make in TABLES.values()]
    tables = [table for table in made if table is not None]
    assert "Machine[T.B]" in render_all(tables)
    assert method not in render_all(tables)  # the title has words for it
