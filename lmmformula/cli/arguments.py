"""What the command line accepts."""

from __future__ import annotations

import argparse
from typing import Any

from lmmformula import __version__
from lmmformula.cli import commands

__all__ = ["build_parser"]

_OVERVIEW = """\
DATA is a bundled data set (`lmmformula datasets`) or a .csv, .csv.gz, .parquet or .feather file.

examples:
  lmmformula fit "Reaction ~ Days + (Days | Subject)" sleepstudy
  lmmformula anova "Reaction ~ Days + (1 | Subject)" "Reaction ~ Days + (Days | Subject)" sleepstudy
  lmmformula fit --help

Results go to standard output, warnings and errors to standard error; the exit status is 2 when the
input cannot be used. Completion in bash and zsh: `pip install "lmmformula[completion]"`, then
`eval "$(register-python-argcomplete lmmformula)"`.
Everything else that the package does is in Python: `import lmmformula`, `help(lmmformula)`.
"""
_EXAMPLES = {
    "fit": """\
examples:
  lmmformula fit "Reaction ~ Days + (Days | Subject)" sleepstudy
  lmmformula fit "angle ~ recipe * temperature + (1 | recipe:replicate)" cake \\
      --contrasts temperature=poly
  lmmformula fit "score ~ Machine + (1 | Worker)" machines --ddf kenward-roger
  lmmformula fit "y ~ x + (x | g)" measurements.csv --ml --weights w --json
  lmmformula fit "Reaction ~ Days" sleepstudy --residual "ar1(Days | Subject)"
""",
    "anova": """\
examples:
  lmmformula anova "Reaction ~ Days + (1 | Subject)" "Reaction ~ Days + (Days | Subject)" sleepstudy

All models are fitted by maximum likelihood, unless --reml is given, and each is tested against the
one before it. P-values refer to chi-square; where a variance is tested they are too large.
""",
    "datasets": """\
examples:
  lmmformula datasets
  lmmformula datasets --json
  lmmformula fit "Yield ~ 1 + (1 | Batch)" dyestuff
""",
}


def build_parser() -> argparse.ArgumentParser:
    """Describe the three commands."""
    parser = argparse.ArgumentParser(
        prog="lmmformula",
        description="Linear mixed models from lme4 formulas.",
        epilog=_OVERVIEW,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=__version__)
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")

    fit = _command(subparsers, "fit", "fit one model and print its summary", commands.fit)
    fit.add_argument("formula", metavar="FORMULA", help="model in lme4's notation")
    _add_data_options(fit)
    fit.add_argument("--ml", action="store_true", help="maximum likelihood instead of REML")
    fit.add_argument(
        "--ddf",
        metavar="METHOD",
        help="tests of fixed effects by: satterthwaite (default), kenward-roger, "
        "kenward-roger-observed or wald",
    )
    fit.add_argument(
        "--plot",
        metavar="FILE.png",
        help="save a picture of residuals and random effects (.png, .pdf, .svg, ...)",
    )

    compare = _command(
        subparsers, "anova", "compare nested models by likelihood-ratio tests", commands.anova
    )
    compare.add_argument("formulas", metavar="FORMULA", nargs="+", help="two or more models")
    _add_data_options(compare)
    compare.add_argument(
        "--reml",
        action="store_true",
        help="fit by REML and compare its criteria (same fixed effects only)",
    )

    datasets = _command(subparsers, "datasets", "list the bundled data sets", commands.datasets)
    datasets.add_argument("--json", action="store_true", help="print JSON")
    return parser


def _command(subparsers: Any, name: str, summary: str, run: Any) -> argparse.ArgumentParser:
    """Add one command with its examples."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        name,
        help=summary,
        description=summary[0].upper() + summary[1:] + ".",
        epilog=_EXAMPLES.get(name),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)
    return parser


def _add_data_options(parser: argparse.ArgumentParser) -> None:
    """Add what ``fit`` and ``anova`` share."""
    parser.add_argument(
        "data",
        metavar="DATA",
        help="a bundled data set, or a .csv, .csv.gz, .parquet or .feather file",
    )
    parser.add_argument("--weights", metavar="COLUMN", help="prior weights (variance sigma^2/w)")
    parser.add_argument("--offset", metavar="COLUMN", help="known part of the linear predictor")
    parser.add_argument(
        "--residual",
        metavar="STRUCTURE",
        help='correlation of the residuals within groups, "ar1(visit | Subject)"',
    )
    parser.add_argument(
        "--variance",
        metavar="FUNCTION",
        help='residual standard deviation by columns, "ident(Sex)" or "power(age)"',
    )
    parser.add_argument(
        "--contrasts",
        metavar="FACTOR=CODING",
        action="append",
        default=[],
        help="coding of a factor: treatment (default), sum, poly, helmert, diff or sas; "
        "may be repeated",
    )
    parser.add_argument(
        "--missing",
        choices=["drop", "raise"],
        default="drop",
        help="rows with missing values: leave out (with a warning) or refuse",
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    parser.add_argument(
        "--progress",
        action=argparse.BooleanOptionalAction,
        help="show the optimizer's progress (default: in a terminal, after two seconds)",
    )
