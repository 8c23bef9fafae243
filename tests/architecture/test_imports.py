"""Who imports whom, and what an import of the package may load."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def test_layer_contracts_hold():
    importlinter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [importlinter, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("module", ["statsmodels", "matplotlib", "polars", "tqdm"])
def test_import_leaves_out(module):
    code = f"import sys, lmmformula; sys.exit({module!r} in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False)
    assert done.returncode == 0, f"`import lmmformula` imports {module}"


def test_fitting_leaves_out_plotting_and_statsmodels():
    code = (
        "import sys, lmmformula as lf\n"
        "fit = lf.lmer('Reaction ~ Days + (Days | Subject)', lf.load_dataset('sleepstudy'))\n"
        "str(fit.summary())\n"
        "sys.exit(bool({'matplotlib', 'statsmodels'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
