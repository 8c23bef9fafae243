"""Check what ``import lmmformula`` costs: ``python -m benchmarks.import_time``.

Pairs of new interpreters, in alternating order: one imports the libraries that the package cannot
do without, the other the package. The median of the ratios must stay below the limit. The package
loads its names on first use, so what a user waits for before a first fit is measured as well, and
there nothing heavy that is needed only now and then may have been imported.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parent.parent
NEEDED = "import numpy, pandas, scipy.linalg, scipy.sparse, formulaic"
PACKAGE = "import lmmformula"
FIRST_USE = "from lmmformula import lmer, load_dataset"
LATE = ("statsmodels", "matplotlib", "polars", "pyarrow", "dask", "patsy")
PROGRAM = """
import json, sys, time
start = time.perf_counter()
{statement}
seconds = time.perf_counter() - start
loaded = sorted({{name.partition(".")[0] for name in sys.modules}} & set({late!r}))
print(json.dumps([seconds, loaded]))
"""


def import_seconds(statement: str) -> tuple[float, list[str]]:
    """Seconds that a statement takes in a new interpreter, and which late modules it loaded."""
    program = PROGRAM.format(statement=statement, late=LATE)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    seconds, loaded = json.loads(done.stdout.splitlines()[-1])
    return float(seconds), list(loaded)


def main(argv: list[str] | None = None) -> int:
    """Measure pairs, print the medians, return 1 where a promise is broken."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.import_time", description=__doc__)
    parser.add_argument("--pairs", type=int, default=15)
    parser.add_argument("--limit", type=float, default=1.2)
    arguments = parser.parse_args(argv)
    import_seconds(NEEDED)
    import_seconds(PACKAGE)
    statements = (NEEDED, PACKAGE, FIRST_USE)
    taken: dict[str, list[float]] = {statement: [] for statement in statements}
    late: set[str] = set()
    for pair in range(arguments.pairs):
        for statement in statements if pair % 2 else reversed(statements):
            seconds, loaded = import_seconds(statement)
            taken[statement].append(seconds)
            if statement == FIRST_USE:
                late.update(loaded)
    late -= set(import_seconds(NEEDED)[1])
    needed, package, first = taken.values()
    ratio = median(p / n for p, n in zip(package, needed, strict=True))
    print(f"needed libraries  {median(needed):.3f} s  (median of {len(needed)})")
    print(f"lmmformula        {median(package):.3f} s")
    print(f"ratio             {ratio:.3f}    (limit {arguments.limit:g})")
    times = median(first) / median(needed)
    print(f"first use         {median(first):.3f} s  ({times:.2f} x the libraries, no limit)")
    print(f"imported early    {', '.join(sorted(late)) or 'nothing that can wait'}")
    return int(ratio > arguments.limit or bool(late))


if __name__ == "__main__":
    raise SystemExit(main())
