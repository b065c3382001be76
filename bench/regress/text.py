"""Other people's text, made harmless: in one line for people, and in Markdown."""

from __future__ import annotations

import re

#: Where Markdown, HTML, a mention, a reference, a formula, a link or the next cell of a table can begin.
_MARKS = re.compile(r"([\\`*_{}\[\]<>#!|~&@/$]|(?<=www)\.)", re.IGNORECASE)


def plain(value: object, longest: int = 200) -> str:
    """A value as one line of printable characters, cut at `longest`."""
    text = "".join(c if c.isprintable() else "?" for c in " ".join(str(value).split()))
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def markdown(value: object, longest: int = 200) -> str:
    """`plain` text that GitHub's Markdown shows as it is written: no markup, links, mentions or HTML."""
    return _MARKS.sub(r"\\\1", plain(value, longest))
