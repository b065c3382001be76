"""A table as text of a terminal's width: folded headings and names, columns in blocks, wrapped captions."""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.cells import cell_len, chop_cells
from rich.text import Text

from bench.api.terminal import visible

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.tables.model import Sheet

#: Columns between two of a table's.
GAP = 2
#: What a name is folded to before a table is parted into more blocks.
NARROW = 12
#: Where names may be folded: before `+` and `:` of a spec, and after spaces but before an arrow.
_PIECES = re.compile(r"[+:]?[^+: ]+(?: [↑↓])? *|[+: ]")


@dataclass(frozen=True)
class Layout:
    """How a table is shown as text: in how many columns, with ± and ranks (`full`), with its whole caption."""

    width: int = 80
    full: bool = False
    protocol: bool = False


def in_columns(sheets: Sequence[Sheet], layout: Layout) -> Text:
    """All sheets below each other."""
    return Text("\n").join(_one(made, layout) for made in sheets)


def _one(made: Sheet, layout: Layout) -> Text:
    """Aligned columns, the best of each marked; what does not fit beside each other stands below each other."""
    rows = [
        [(visible(f"{'*' * c.best}{c.text}{c.rest if layout.full else ''}"), "bold green" * c.best) for c in row]
        for row in made.rows
    ]
    heads = [visible(heading) for heading in made.headings]
    text = Text()
    for columns, widths in _blocks(heads, [[cell for cell, _ in row] for row in rows], made.labels, layout.width):
        lines = _folded_line([heads[k] for k in columns], widths)
        deepest = max(map(len, lines))
        lines = [[""] * (deepest - len(cell)) + cell for cell in lines]
        _write(text, lines, widths, made.labels, ["bold"] * len(columns))
        text.append(f"{'-' * (sum(widths) + GAP * (len(widths) - 1))}\n")
        for row in rows:
            lines = _folded_line([row[k][0] for k in columns], widths)
            _write(text, lines, widths, made.labels, [row[k][1] for k in columns])
        text.append("\n")
    sentences = made.notes if layout.protocol else made.sentences(layout.full)
    for sentence in (*sentences, *([f"*: {made.mark}."] if made.mark else [])):
        text.append("\n".join(textwrap.wrap(visible(sentence), layout.width, break_on_hyphens=False)) + "\n")
    return text


def _blocks(
    heads: Sequence[str], rows: Sequence[Sequence[str]], labels: int, width: int
) -> list[tuple[list[int], list[int]]]:
    """(positions, widths) of the columns of each block; the first `labels` are in all of them.

    As few blocks as names of `NARROW` columns allow, and names as wide as these leave room for.
    """
    cells = [max((cell_len(row[k]) for row in rows), default=0) for k in range(len(heads))]
    whole = [max(cell, cell_len(head)) for cell, head in zip(cells, heads, strict=True)]
    if sum(whole) + GAP * (len(whole) - 1) <= width:
        return [(list(range(len(whole))), whole)]
    names = whole[:labels]
    numbers = [
        max(cell, *(cell_len(word) for word in re.split(" (?![↑↓])", head)), 1)
        for cell, head in zip(cells[labels:], heads[labels:], strict=True)
    ]
    widest = max(1, width - (GAP + max(numbers) if numbers else 0))
    narrow = min(widest, sum(min(name, NARROW) for name in names) + GAP * (labels - 1))
    fewest = len(_parted(numbers, width - narrow))
    room = max(r for r in range(narrow, max(narrow, widest) + 1) if len(_parted(numbers, width - r)) == fewest)
    texts = [" ".join(column) for column in zip(heads, *rows, strict=True)][:labels]
    least = [max((cell_len(piece.rstrip()) for piece in _PIECES.findall(text)), default=0) for text in texts]
    names = _narrowed(names, room, least)
    return [
        ([*range(labels), *(labels + k for k in block)], [*names, *(numbers[k] for k in block)])
        for block in _parted(numbers, width - room)
    ]


def _parted(numbers: Sequence[int], room: int) -> list[list[int]]:
    """Positions in blocks that take at most `room` columns, gaps in front of each included."""
    blocks: list[list[int]] = [[]]
    for k, number in enumerate(numbers):
        if blocks[-1] and sum(numbers[j] + GAP for j in blocks[-1]) + number + GAP > room:
            blocks.append([])
        blocks[-1].append(k)
    return blocks


def _narrowed(names: Sequence[int], room: int, least: Sequence[int]) -> list[int]:
    """Widths that take at most `room` columns together, the widest made narrower first.

    None becomes narrower than `least`, of its longest word, as long as another one can.
    """
    found = list(names)
    while sum(found) + GAP * (len(found) - 1) > room and max(found, default=1) > 1:
        wide = [k for k, width in enumerate(found) if width > least[k]] or range(len(found))
        found[max(wide, key=found.__getitem__)] -= 1
    return found


def _folded_line(cells: Sequence[str], widths: Sequence[int]) -> list[list[str]]:
    return [_folded(cell, width) for cell, width in zip(cells, widths, strict=True)]


def _folded(text: str, width: int) -> list[str]:
    """The text in lines of at most `width` columns."""
    if cell_len(text) <= width:
        return [text]
    lines = [""]
    for piece in _PIECES.findall(text):
        if lines[-1] and cell_len(lines[-1] + piece.rstrip()) > width:
            lines.append("")
        *cut, rest = chop_cells(piece.rstrip(), width) or [""]
        end = piece[len(piece.rstrip()) :]
        lines[-1:] = [*(lines[-1] + part for part in cut[:1]), *cut[1:], (rest if cut else lines[-1] + rest) + end]
    return [line.rstrip() for line in lines]


def _write(
    text: Text, cells: Sequence[Sequence[str]], widths: Sequence[int], labels: int, styles: Sequence[str]
) -> None:
    """One row of the table, in as many lines as its deepest cell has."""
    for depth in range(max(map(len, cells))):
        line = Text()
        for k, (cell, width, style) in enumerate(zip(cells, widths, styles, strict=True)):
            part = cell[depth] if depth < len(cell) else ""
            space = " " * (width - cell_len(part))
            line.append(" " * GAP * (k > 0) + space * (k >= labels))
            line.append(part, style)
            line.append(space * (k < labels))
        line.rstrip()
        text.append_text(line.append("\n"))
