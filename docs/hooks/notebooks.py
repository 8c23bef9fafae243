"""Makes a page of every notebook while the site is built, from the outputs that are saved in it.

Nothing is run here: ``docs/notebooks/execute.py`` does that. Pictures become files of their own;
other pages link to ``notebooks/name.ipynb``, which works in the repository as well.
"""

from __future__ import annotations

import json
import re
from base64 import b64decode
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

from mkdocs.structure.files import File, Files

PANDAS = re.compile(r"<style scoped>.*?</style>|(?<=<table)[^>]*(?=class=.dataframe)", re.DOTALL)
LINK = re.compile(r"(\]\((?![a-z]+:)[^)\s]*?)\.ipynb(?=[)#])")


def on_files(files: Files, *, config: Any) -> Files:
    """Add a page for every notebook; the notebook stays beside it, to be taken home."""
    for file in [file for file in files if file.src_uri.endswith(".ipynb")]:
        path = PurePosixPath(file.src_uri)
        text, pictures = page(json.loads(file.content_string), path.stem)
        files.append(File.generated(config, str(path.with_suffix(".md")), content=text))
        for name, content in pictures.items():
            files.append(File.generated(config, str(path.parent / name), content=content))
    return files


def on_page_markdown(markdown: str, *, page: Any, config: Any, files: Any) -> str:
    """Lead links to a notebook to its page."""
    return LINK.sub(r"\1.md", markdown)


def page(notebook: dict[str, Any], name: str) -> tuple[str, dict[str, bytes]]:
    """Return a notebook as Markdown, and its pictures by their paths beside the page."""
    pictures: dict[str, bytes] = {}
    parts = [part for cell in notebook["cells"] for part in _cell(cell, name, pictures)]
    title, *rest = parts
    heading, _, opening = title.partition("\n")
    link = f'<a class="md-button" href="../{name}.ipynb" download>Download the notebook</a>'
    return "\n\n".join([heading, opening.strip(), *rest, link]) + "\n", pictures


def _cell(cell: dict[str, Any], name: str, pictures: dict[str, bytes]) -> Iterator[str]:
    source = "".join(cell["source"])
    if cell["cell_type"] == "markdown":
        yield source
        return
    yield f"```python\n{source}\n```"
    for number, output in enumerate(cell["outputs"]):
        data = output.get("data", {})
        if "image/png" in data:
            target = f"{name}/{cell['id']}-{number}.png"
            pictures[target] = b64decode("".join(data["image/png"]))
            yield f"![Figure of the cell above]({target})"
        elif "text/html" in data:
            html = PANDAS.sub(" ", "".join(data["text/html"]))  # the site's own style instead
            html = re.sub(r"\n\s*\n", "\n", html.strip())
            yield f'<div class="output">\n{html}\n</div>'
        else:
            text = "".join(output.get("text") or data.get("text/plain", "")).rstrip()
            yield f"``` {{.text .output}}\n{text}\n```"
