"""The budget table: what each method spends stands before what it gets for it."""

from __future__ import annotations

import pandas as pd
import pytest
from table_frames import at10

from bench.api.errors import UsageError
from bench.tables import render
from bench.tables.named import named_tables


def rows_of(text: str) -> list[list[str]]:
    """Cells of a Markdown table."""
    lines = [line for line in text.splitlines() if line.startswith("|") and "---" not in line]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_methods_stand_from_the_fewest_channel_uses_to_the_most() -> None:
    frame = pd.concat(
        [
            at10({"full_image": 0.3, "oasis+digital": 0.8}, metric="mIoU", higher_is_better=True),
            at10({"full_image": 24576.0, "oasis+digital": 4915.2}, metric="channel_uses", higher_is_better=False),
            at10({"full_image": 5059.0, "oasis+digital": 4915.2}, metric="energy", higher_is_better=False),
        ]
    )
    heading, first, second = rows_of(render(named_tables(frame, "budget", 10.0), "md"))
    assert heading[:4] == ["mIoU ↑", "uses", "CBR", "energy"]
    height, width = (int(side) for side in str(frame["size"].iloc[0]).split("x"))
    assert first[0] == "oasis+digital"
    assert second[0] == "full_image"
    assert second[1:4] == ["24,576", f"{24576 / 2 / (3 * height * width):.4f}", "5,059"]


def test_results_without_uses_say_so() -> None:
    with pytest.raises(UsageError, match="no channel_uses"):
        named_tables(at10({"gesco": 0.5}, metric="mIoU", higher_is_better=True), "budget", 10.0)
