"""The documents as a site: built strictly, without the network, with every command and option on its page."""

from __future__ import annotations

import html
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from bench.cli import app

pytest.importorskip("mkdocs", reason="mkdocs is not installed (the extra `docs` has it)")
pytest.importorskip("mkdocstrings", reason="mkdocstrings is not installed (the extra `docs` has it)")
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site; a warning of mkdocs, about a dead link for example, is an error."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    quiet = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=quiet)
    assert done.returncode == 0, done.stderr
    return folder


def _commands(command: Any, name: str) -> Iterator[tuple[str, list[str]]]:
    """Every command's full name with its options."""
    options = (option for one in command.params for option in (*one.opts, *one.secondary_opts))
    yield name, [option for option in options if option.startswith("--")]
    for child, inner in getattr(command, "commands", {}).items():
        yield from _commands(inner, f"{name} {child}")


def test_every_command_and_option_is_on_the_page_of_the_command_line(site: Path) -> None:
    page = html.unescape(re.sub(r"<[^>]+>", "", (site / "command-line.html").read_text(encoding="utf-8")))
    sections = dict(re.findall(r"^(bench[\w -]*?)¶?\n(.*?)(?=^bench[\w -]*?¶?$|\Z)", page, re.MULTILINE | re.DOTALL))
    found = list(_commands(typer.main.get_command(app), "bench"))
    assert len(found) > 20
    for name, options in found[1:]:
        assert name in page
        assert name in sections, name
        assert [option for option in options if option not in sections[name]] == [], name


def test_pages_ask_nothing_of_the_network(site: Path) -> None:
    for page in site.rglob("*.html"):
        loaded = re.findall(r"<(?:script|img|iframe)[^>]* src=\"([^\"]+)|<link[^>]* href=\"([^\"]+)", page.read_text())
        outside = {address for pair in loaded for address in pair if re.match(r"(?:https?:)?//", address)}
        assert outside == set(), page


def test_every_page_of_the_results_is_in_the_site(site: Path) -> None:
    for page in (ROOT / "results").rglob("*.md"):
        inside = page.relative_to(ROOT)
        if inside.parts[1] not in ("local", "samples"):
            built = inside.with_name("index.html") if page.name == "README.md" else inside.with_suffix(".html")
            assert (site / built).is_file(), inside


def test_every_picture_of_a_page_is_in_the_site(site: Path) -> None:
    shown = {
        (page, source)
        for page in site.rglob("*.html")
        for source in re.findall(r"<img[^>]* src=\"([^\":]+)\"", page.read_text(encoding="utf-8"))
    }
    assert any(source.endswith(".webp") for _, source in shown)
    assert [(page, source) for page, source in sorted(shown) if not (page.parent / source).is_file()] == []
