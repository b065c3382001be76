"""Every number in the READMEs is the data's: written by `python -m results.readme`, or declared with its source."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from results.readme import __main__ as readme
from results.readme import numbers
from results.readme.blocks import numbers_in, prose, rewritten, wrapped
from results.readme.constants import constants

ROOT = Path(__file__).parents[2]
#: The READMEs and every page of docs/.
PAGES = sorted({*readme.PAGES, *(page.relative_to(ROOT).as_posix() for page in (ROOT / "docs").rglob("*.md"))})


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> object:
    monkeypatch.setattr(sys, "argv", ["readme", *arguments])
    with pytest.raises(SystemExit) as stop:
        readme.main()
    return stop.value.code


def test_tables_and_sentences_of_the_readmes_are_what_the_committed_data_say(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where this fails, `python -m results.readme` writes them anew; it says which sentence no longer holds."""
    code = run(monkeypatch, "--check")
    assert code == 0, (code, capsys.readouterr().out)


@pytest.mark.parametrize("page", PAGES)
def test_numbers_that_people_wrote_are_declared_with_their_source(page: str) -> None:
    """A number that looks measured and is neither generated, nor in a passage with a source, nor a declared constant,
    is a number that nobody will notice when it becomes wrong."""
    found = set(numbers_in((ROOT / page).read_text(encoding="utf-8")))
    assert found == set(constants().get(page, {}))


def test_a_number_that_somebody_types_is_found() -> None:
    assert numbers_in("mIoU is 0.743 there, 12 % more, in `0.1` and [0.2](0.3), 1,024 bits, 3 minutes") == [
        "0.743", "12 %", "0.2", "1,024", "3 minutes",
    ]  # fmt: skip
    declared = "a\n<!-- numbers from: a run -->\n0.5\n<!-- end of numbers -->\n0.6"
    assert numbers_in(declared) == ["0.6"]
    assert "0.7" not in prose("<!-- generated: x -->\n0.7\n<!-- end of x -->\n")


def test_a_changed_number_and_a_stray_block_are_found() -> None:
    page = "a\n<!-- generated: one -->\n1\n<!-- end of one -->\n"
    assert rewritten("p", page, {"one": lambda: "2"}) == page.replace("\n1\n", "\n2\n")
    for wrong, blocks in (
        (page, {}),
        (page, {"one": str, "two": str}),
        (page + page, {"one": str}),
        ("", {"one": str}),
    ):
        with pytest.raises(ValueError, match="nobody makes"):
            rewritten("p", wrong, blocks)


def test_prose_is_broken_at_120_columns_and_what_is_no_prose_stays() -> None:
    long = "word " * 40
    page = f"# {long}\n\n- {long}and\n  more\n- b\n\n| {long} |\n\n```\n{long}\n```\nrank is 1 + the rest"
    lines = wrapped(page).split("\n")
    assert wrapped("\n".join(lines)) == "\n".join(lines)
    assert lines[0] == f"# {long}"
    assert f"| {long} |" in lines
    assert long in lines
    prose_lines = [line for line in lines if not line.startswith(("#", "|")) and line != long]
    assert max(map(len, prose_lines)) < 120
    assert [line for line in prose_lines if line.startswith("- ")] == [prose_lines[1], "- b"]
    nested = "- a\n\n  | a table | in an item |\n  |---|---|\n\n  " + long.strip()
    assert wrapped(nested).split("\n")[:5] == nested.split("\n")[:5]
    assert all(line.startswith("  word") for line in wrapped(nested).split("\n")[5:])
    assert not [line for line in wrapped(" ".join(f"{'x' * k} + y" for k in range(60))).split("\n") if line[0] == "+"]


def test_a_sentence_that_the_data_no_longer_bear_stops_the_writing(monkeypatch: pytest.MonkeyPatch) -> None:
    from results.readme import main_page

    monkeypatch.setattr(main_page, "value", lambda metric, method, psnr=10: 1.0 if method == "gesco" else 0.5)
    with pytest.raises(numbers.Untrue, match="the numbers no longer say"):
        main_page.PAGES["README.md"]["mIoU"]()


def test_submitting_asks_for_the_scenes_of_the_committed_results() -> None:
    text = (ROOT / "docs" / "how-to" / "submit.md").read_text(encoding="utf-8")
    found = re.search(r"^bench run .* --scenes (\d+)$", text, re.MULTILINE)
    assert found is not None
    assert int(found[1]) == numbers.scenes("mIoU")
