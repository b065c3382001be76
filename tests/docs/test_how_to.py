"""The pages "How to add ..." to the letter: their files installed with pip, their commands run, their rows printed."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from plugin_environment import ROOT, bench, make_environment

PLUGINS = ("method", "metric", "dataset", "channel")
_FENCE = re.compile(r"^```(?P<kind>\w+)(?: title=\"(?P<title>[^\"]+)\")?\n(?P<text>.*?)^```", re.MULTILINE | re.DOTALL)
_NUMBER = re.compile(r"-?\d+\.\d+|∞")
#: Another machine's arithmetic moves a number on a page by less; a broken example moves it by more.
TOLERANCE = 0.02


@dataclass
class Recipe:
    """What a page tells to do."""

    files: dict[str, str] = field(default_factory=dict)
    changes: dict[str, str] = field(default_factory=dict)
    commands: list[list[str]] = field(default_factory=list)
    rows: list[str] = field(default_factory=list)


def recipe(name: str) -> Recipe:
    """Fences with a title are files, or with `diff` changes of the project's; `bash` is run; `text` is printed."""
    page = Recipe()
    for fence in _FENCE.finditer((ROOT / "docs" / "how-to" / f"{name}.md").read_text(encoding="utf-8")):
        if fence["title"]:
            (page.changes if fence["kind"] == "diff" else page.files)[fence["title"]] = fence["text"]
        elif fence["kind"] == "bash":
            lines = fence["text"].replace("\\\n", "").splitlines()
            page.commands += [shlex.split(line)[1:] for line in lines if line.startswith("bench ")]
        elif fence["kind"] == "text":
            page.rows += fence["text"].splitlines()
    return page


def write(files: dict[str, str], folder: Path) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def changed(text: str, diff: str) -> str:
    """The text with the lines that a diff adds after, and takes away at, the place that its other lines show."""
    before = "".join(f"{line[1:]}\n" for line in diff.splitlines() if line[:1] in " -")
    after = "".join(f"{line[1:]}\n" for line in diff.splitlines() if line[:1] in " +")
    assert text.count(before) == 1, f"the page shows lines that are not in the file: {before}"
    return text.replace(before, after)


def words(line: str) -> list[str]:
    return _NUMBER.sub("#", line).split()


def numbers(line: str) -> list[float]:
    return [float(number.replace("∞", "inf")) for number in _NUMBER.findall(line)]


def printed(row: str, output: str) -> bool:
    """Whether a row of a page is printed: the same words, and numbers within `TOLERANCE`."""
    return any(
        words(line) == words(row) and numbers(line) == pytest.approx(numbers(row), abs=TOLERANCE)
        for line in output.splitlines()
    )


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project with every page's package installed, and the figure's page's changes made."""
    pytest.importorskip("pip", reason="installs with pip")
    folder = tmp_path_factory.mktemp("how-to")
    plugins = [write(recipe(name).files, folder / "written" / name) for name in PLUGINS]
    site = make_environment(folder, plugins=plugins)
    figure = recipe("figure")
    write(figure.files, site)
    for name, diff in figure.changes.items():
        (site / name).write_text(changed((site / name).read_text(encoding="utf-8"), diff), encoding="utf-8")
    return folder


@pytest.mark.parametrize("name", [*PLUGINS, "figure"])
def test_the_page_works_as_it_is_written(name: str, environment: Path) -> None:
    page, work = recipe(name), environment / "work" / name
    work.mkdir(parents=True)
    assert page.files
    assert page.commands
    assert page.rows
    output = ""
    for command in page.commands:
        done = bench(environment, work, *command)
        assert done.returncode == 0, (command, done.stderr)
        output += done.stdout
    assert [row for row in page.rows if not printed(row, output)] == [], output
