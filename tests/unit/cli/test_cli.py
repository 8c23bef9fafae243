"""The command line: what it prints, where, and how it fails."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

import lmmformula as lf
from lmmformula.cli import main, sources

FULL = "Reaction ~ Days + (Days | Subject)"
INTERCEPT = "Reaction ~ Days + (1 | Subject)"


@pytest.fixture
def run(capsys):
    """Run the command line; return exit status, standard output, standard error."""

    def call(*argv: str) -> tuple[int, str, str]:
        status = main(list(argv))
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return call


def test_fit_prints_the_summary(run, sleepstudy):
    status, out, err = run("fit", FULL, "sleepstudy", "--no-progress")
    assert (status, err) == (0, "")
    assert out.strip() == str(lf.lmer(FULL, sleepstudy).summary()).strip()
    for part in ("1743.6", "251.4", "10.467", "Subject", "Residual"):
        assert part in out


def test_fit_by_maximum_likelihood(run, sleepstudy):
    _, out, _ = run("fit", FULL, "sleepstudy", "--ml", "--no-progress")
    assert out.strip() == str(lf.lmer(FULL, sleepstudy, reml=False).summary()).strip()


@pytest.mark.parametrize("method", ["wald", "kenward-roger", "kenward-roger-observed"])
def test_method_of_the_tests(run, sleepstudy, method):
    _, out, _ = run("fit", FULL, "sleepstudy", "--ddf", method, "--no-progress")
    assert out.strip() == str(lf.lmer(FULL, sleepstudy).summary(ddf=method)).strip()


def test_kenward_roger_of_a_maximum_likelihood_fit(run):
    _, out, err = run("fit", FULL, "sleepstudy", "--ml", "--ddf", "kenward-roger", "--no-progress")
    assert "InferenceWarning" in err
    assert "those of the REML fit" in out


def test_json(run, sleepstudy):
    _, out, _ = run("fit", FULL, "sleepstudy", "--json", "--no-progress")
    record, results = json.loads(out), lf.lmer(FULL, sleepstudy)
    assert record["objective"] == pytest.approx(results.objective, rel=1e-12)
    assert record["criterion"] == "REML"
    assert record["nobs"] == 180
    assert record["npar"] == 6
    assert record["ngroups"] == {"Subject": 18}
    assert record["theta"] == pytest.approx(list(results.theta), rel=1e-12)
    assert record["converged"] is True
    assert record["is_singular"] is False
    assert record["warnings"] == []
    assert [row["term"] for row in record["fixed_effects"]] == ["Intercept", "Days"]
    assert record["fixed_effects"][1]["estimate"] == pytest.approx(results.params["Days"])
    assert record["variance_components"][-1]["grp"] == "Residual"
    assert record["variance_components"][0]["var2"] is None
    assert record["optimum"]["n_evaluations"] == results.optimum.n_evaluations


def test_warnings_go_to_standard_error_and_into_json(run):
    status, out, err = run("fit", "Yield ~ 1 + (1 | Batch)", "dyestuff2", "--json", "--no-progress")
    assert status == 0
    assert err.startswith("SingularFitWarning: ")
    assert json.loads(out)["warnings"][0]["type"] == "SingularFitWarning"


def test_anova(run):
    status, out, err = run("anova", INTERCEPT, FULL, "sleepstudy", "--no-progress")
    assert (status, err) == (0, "")
    assert "42.139" in out
    assert "maximum likelihood" in out


def test_anova_json(run):
    _, out, _ = run("anova", INTERCEPT, FULL, "sleepstudy", "--json", "--no-progress")
    small, large = json.loads(out)["models"]
    assert small["chisq"] is None
    assert large["chisq"] == pytest.approx(42.1393, abs=1e-3)
    assert large["df"] == 2


def test_anova_reml(run):
    _, out, _ = run("anova", INTERCEPT, FULL, "sleepstudy", "--reml", "--json", "--no-progress")
    assert json.loads(out)["models"][1]["chisq"] == pytest.approx(42.8372, abs=1e-3)


def test_anova_of_one_model(run):
    status, out, err = run("anova", FULL, "sleepstudy")
    assert status == 2
    assert out == ""
    assert err.startswith("OptionError: ")


def test_datasets(run):
    status, out, _ = run("datasets")
    assert status == 0
    for name in ("sleepstudy", "insteval", "73421", "licence", "Not bundled", "chem97"):
        assert name in out


def test_datasets_json(run):
    _, out, _ = run("datasets", "--json")
    assert json.loads(out)["datasets"][0]["name"] == "sleepstudy"


@pytest.mark.parametrize("kind", ["csv", "csv.gz", "parquet", "feather"])
def test_files(run, tmp_path, sleepstudy, kind):
    path = tmp_path / f"sleep.{kind}"
    if kind.startswith("csv"):
        sleepstudy.to_csv(path, index=False)
    else:
        getattr(sleepstudy, f"to_{kind}")(path)
    _, from_file, _ = run("fit", FULL, str(path), "--no-progress")
    _, bundled, _ = run("fit", FULL, "sleepstudy", "--no-progress")
    assert from_file == bundled


def test_weights_offset_contrasts(run, tmp_path, sleepstudy):
    data = sleepstudy.assign(w=1.0 + sleepstudy["Days"] % 2, off=0.5 * sleepstudy["Days"])
    path = tmp_path / "weighted.csv"
    data.to_csv(path, index=False)
    options = ["--weights", "w", "--offset", "off", "--json", "--no-progress"]
    _, out, _ = run("fit", FULL, str(path), *options)
    expected = lf.lmer(FULL, data, weights="w", offset="off")
    assert json.loads(out)["objective"] == pytest.approx(expected.objective, rel=1e-12)
    _, out, _ = run(
        "fit", "price ~ store + (1 | item)", "grocery", "--contrasts", "store=sum", "--json"
    )
    terms = [row["term"] for row in json.loads(out)["fixed_effects"]]
    assert terms == ["Intercept", "store[S.storeA]", "store[S.storeB]", "store[S.storeC]"]


@pytest.mark.parametrize(
    ("argv", "error"),
    [
        (["fit", "Reaction ~ Dayz + (1 | Subject)", "sleepstudy"], "FormulaError"),
        (["fit", "Reaction ~ Days + (1 | Subject", "sleepstudy"], "FormulaError"),
        (["fit", FULL, "sleepstudi"], "OptionError"),
        (["fit", FULL, "missing.csv"], "OptionError"),
        (["fit", FULL, "sleepstudy", "--ddf", "magic"], "OptionError"),
        (["fit", FULL, "sleepstudy", "--contrasts", "Days"], "OptionError"),
        (["fit", FULL, "sleepstudy", "--plot", "out.xyz"], "OptionError"),
        (["fit", FULL, "sleepstudy", "--plot", "no/such/folder/out.png"], "OptionError"),
        (["anova", FULL, INTERCEPT, "chem97"], "OptionError"),
    ],
)
def test_errors(run, argv, error):
    status, out, err = run(*argv, "--no-progress")
    assert status == 2
    assert out == ""
    assert err.startswith(f"{error}: ")
    assert "\nGot: " in err
    assert "\nTry: " in err


def test_plot_is_saved(run, tmp_path):
    pytest.importorskip("matplotlib")
    path = tmp_path / "fit.png"
    status, out, _ = run("fit", FULL, "sleepstudy", "--plot", str(path))
    assert status == 0
    assert "Fixed effects" in out
    assert path.read_bytes().startswith(b"\x89PNG")


def test_missing_matplotlib_names_the_extra(run, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    status, out, err = run("fit", FULL, "sleepstudy", "--plot", str(tmp_path / "fit.png"))
    assert (status, out) == (2, "")
    assert "lmmformula[plot]" in err


def test_unreadable_file(run, tmp_path):
    (tmp_path / "broken.csv").write_text('a,b\n1,"2\n')
    status, _, err = run("fit", "a ~ 1 + (1 | b)", str(tmp_path / "broken.csv"))
    assert status == 2
    assert err.startswith("DataError: ")


def test_unknown_kind_of_file(run, tmp_path):
    (tmp_path / "data.xlsx").write_text("")
    status, _, err = run("fit", FULL, str(tmp_path / "data.xlsx"))
    assert status == 2
    assert ".xlsx" in err


def test_missing_pyarrow_names_the_extra(run, tmp_path, monkeypatch):
    path = tmp_path / "data.parquet"
    path.write_bytes(b"")

    def absent(_):
        raise ImportError("no pyarrow")

    monkeypatch.setattr(sources.pd, "read_parquet", absent)
    status, _, err = run("fit", FULL, str(path))
    assert status == 2
    assert "lmmformula[arrow]" in err


def test_missing_values(run, tmp_path, sleepstudy):
    sleepstudy.loc[3, "Days"] = float("nan")
    path = tmp_path / "holes.csv"
    sleepstudy.to_csv(path, index=False)
    status, _, err = run("fit", FULL, str(path), "--no-progress")
    assert status == 0
    assert err.startswith("DroppedRowsWarning: ")
    status, _, err = run("fit", FULL, str(path), "--missing", "raise", "--no-progress")
    assert status == 2
    assert err.startswith("DataError: ")


def test_progress_when_asked(run):
    status, _, err = run("fit", FULL, "sleepstudy", "--progress")
    assert status == 0
    assert err != ""


@pytest.mark.parametrize("argv", [["--help"], ["fit", "--help"], ["anova", "--help"]])
def test_help(argv, capsys):
    with pytest.raises(SystemExit) as caught:
        main(argv)
    assert caught.value.code == 0
    out = capsys.readouterr().out
    assert "usage: lmmformula" in out
    if argv[0] != "--help":
        assert "examples:" in out


@pytest.mark.parametrize("argv", [[], ["fit"], ["fit", FULL], ["bake", FULL, "cake"]])
def test_usage_errors(argv, capsys):
    with pytest.raises(SystemExit) as caught:
        main(argv)
    assert caught.value.code == 2
    assert "usage: lmmformula" in capsys.readouterr().err


def test_as_a_module():
    done = subprocess.run(
        [sys.executable, "-m", "lmmformula", "fit", FULL, "nowhere"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("OptionError: ")
    assert "Traceback" not in done.stderr


def test_closed_pipe_is_not_an_error():
    code = f"{sys.executable} -m lmmformula datasets | head -n 1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert done.stderr == ""
