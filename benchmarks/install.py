"""Make one virtual environment per contender: ``python -m benchmarks.install DIRECTORY``.

R with lme4 and jsonlite is not installed by this script.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import venv
from pathlib import Path

from benchmarks.contenders import CONTENDERS


def main(argv: list[str] | None = None) -> None:
    """Create the environments that are missing and install the pinned packages."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.install", description=__doc__)
    parser.add_argument("directory", type=Path)
    arguments = parser.parse_args(argv)
    needed = {c.environment: c.requirements for c in CONTENDERS if c.requirements}
    for name, requirements in needed.items():
        home = arguments.directory / name
        if not home.exists():
            venv.create(home, with_pip=True)
        print(f"{name}: {', '.join(requirements)}", flush=True)
        python = str(home / "bin" / "python")
        command = [python, "-m", "pip", "install", "--quiet", *requirements]
        if subprocess.run(command, check=False).returncode:
            print(f"{name}: could not be installed; its rows will say so", file=sys.stderr)


if __name__ == "__main__":
    main()
