"""Time of structured covariances beside nlme and glmmTMB, in one run; answers are checked first.

    python -m benchmarks.structures                # the whole, some minutes (R's fits)
    python -m benchmarks.structures --quick        # few repetitions, to try it

Writes ``results/structures/{results.csv,table.md,environment.json}``. R (nlme, glmmTMB, jsonlite)
is found as ``Rscript`` on the path; ``--rscript`` names another. Every library gets the same number
of threads.
"""

from __future__ import annotations

import argparse

from benchmarks.beside_r import RESULTS, Rscript, options, publish, restart_with_threads

__all__ = ["main"]


def main() -> None:
    """Run from the command line."""
    arguments = options(__doc__.splitlines()[0], RESULTS / "structures").parse_args()
    restart_with_threads("benchmarks.structures", arguments.threads)
    measure(arguments)


def measure(arguments: argparse.Namespace) -> None:
    """Time all items and write the results."""
    from benchmarks.structures_items import PROBLEMS, rows_of

    r = Rscript(arguments.rscript, "structures.R")
    chosen = arguments.only.split(",") if arguments.only else list(PROBLEMS)
    rows = ((name, row) for name in chosen for row in rows_of(name, r, quick=arguments.quick))
    publish(rows, r, arguments.folder)


if __name__ == "__main__":
    main()
