r"""Shows bars in the code of tables as bars: in Markdown they have to be written as ``\|``.

The site's parser does not split code at its bars, and so it would show the backslash.
"""

from __future__ import annotations

import re
from typing import Any

ROW = re.compile(r"^[ \t]*\|.*$", re.MULTILINE)
CODE = re.compile(r"`[^`\n]+`")


def on_page_markdown(markdown: str, *, page: Any, config: Any, files: Any) -> str:
    """Take the backslash from bars in the code of tables."""
    return ROW.sub(lambda row: CODE.sub(_bare, row[0]), markdown)


def _bare(code: re.Match[str]) -> str:
    return code[0].replace(r"\|", "|")
