"""Blocks of generated text in Markdown files, and the numbers that stand outside of them."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

#: The text of one block.
Block = Callable[[], str]
_BLOCK = re.compile(r"<!-- generated: (?P<name>[\w. \[\]-]+) -->\n(?P<text>.*?)<!-- end of (?P=name) -->", re.DOTALL)
#: A passage whose numbers are in no committed file; its source stands in the marker.
_DECLARED = re.compile(r"<!-- numbers from: \S.*? -->\n.*?\n<!-- end of numbers -->", re.DOTALL)
_NOT_PROSE = (
    _BLOCK,
    _DECLARED,
    re.compile(r"```.*?```", re.DOTALL),
    re.compile(r"<!--.*?-->", re.DOTALL),
    re.compile(r"`[^`]*`"),
    re.compile(r"(?<=\])\([^)]*\)"),
)
#: Numbers that look measured: decimals, thousands, percentages, durations, sizes, ratios, counts of scenes.
_MEASURED = re.compile(
    r"\d+\.\d+(?:e-?\d+)?|\d{1,3}(?:,\d{3})+|\d+ %|\d+e-\d+"
    r"|\d+ (?:s|ms|GB|MB|GiB|minutes?|hours?|seconds?|times|scenes)\b"
)


#: Columns of a page's prose.
WIDTH = 118
_LEFT_ALONE = ("|", "#", "<", "![", ":::")
_LIST_ITEM = re.compile(r"\s*(?:[-*]|\d+\.)\s+")
_START = re.compile(rf"{_LIST_ITEM.pattern}|\s*")
#: What begins a list or a heading where it begins a line: it stays behind the word before.
_NO_BEGINNING = re.compile(r" (?=(?:[-+*>#]|\d+\.) )")


def registered(blocks: dict[str, Block], name: str) -> Callable[[Block], Block]:
    """A decorator that makes a function the maker of the block of that name."""

    def register(made: Block) -> Block:
        blocks[name] = made
        return made

    return register


def markdown_table(heading: Sequence[str], rows: Iterable[Sequence[str]], words: Collection[int] = (0,)) -> str:
    """A table in Markdown; the columns at `words` to the left, all others, of numbers, to the right."""
    rule = ["---" if place in words else "---:" for place in range(len(heading))]
    return "\n".join(f"| {' | '.join(line)} |" for line in (heading, rule, *rows))


def listed(specs: Iterable[str]) -> str:
    """Specs as the value of an option, broken over lines of a shell."""
    lines = textwrap.wrap(", ".join(specs), 110, break_long_words=False, break_on_hyphens=False)
    return "\\\n".join(line.replace(", ", ",") for line in lines)


def wrapped(text: str) -> str:
    """Markdown with its paragraphs and list items broken at `WIDTH`; tables, code, headings and HTML as they are."""
    done: list[str] = []
    paragraph: list[str] = []
    in_code = False

    def close() -> None:
        if paragraph:
            done.extend(_filled(" ".join(paragraph)))
            paragraph.clear()

    for line in text.split("\n"):
        fence = line.lstrip().startswith("```")
        if in_code or fence or not line.strip() or line.startswith("    ") or line.lstrip().startswith(_LEFT_ALONE):
            close()
            done.append(line)
            in_code ^= fence
            continue
        if _LIST_ITEM.match(line):
            close()
        paragraph.append(line.strip() if paragraph else line.rstrip())
    close()
    return "\n".join(done)


def _filled(paragraph: str) -> list[str]:
    start = _START.match(paragraph)[0]  # type: ignore[index]
    rest = _NO_BEGINNING.sub("\0", paragraph[len(start) :])
    lines = textwrap.wrap(
        rest,
        WIDTH,
        initial_indent=start,
        subsequent_indent=" " * len(start),
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [line.replace("\0", " ") for line in lines]


def rewritten(page: str, text: str, blocks: Mapping[str, Block]) -> str:
    """The page's text with every block made anew; ValueError for a block that nobody makes, that is made but stands
    nowhere, that stands twice or has no end."""
    found = [match["name"] for match in _BLOCK.finditer(text)]
    if sorted(found) != sorted(blocks) or text.count("<!-- generated: ") != len(found):
        unknown, unused = sorted(set(found) - set(blocks)), sorted(set(blocks) - set(found))
        raise ValueError(
            f"{page}: nobody makes {unknown}, nowhere stand {unused}, or a block stands twice or has no end"
        )

    def made(match: re.Match[str]) -> str:
        name = match["name"]
        return f"<!-- generated: {name} -->\n{wrapped(blocks[name]().strip())}\n<!-- end of {name} -->"

    return _BLOCK.sub(made, text)


def prose(text: str) -> str:
    """What people wrote of a page: without blocks, passages of declared source, code, addresses and comments."""
    for pattern in _NOT_PROSE:
        text = pattern.sub(" ", text)
    return text


def numbers_in(text: str) -> list[str]:
    """The numbers of a page's prose that look measured."""
    return _MEASURED.findall(prose(text))
