"""The documents as text: short, with links and paths that exist, and a picture of the rooms that is the code's."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer

from bench.cli import app

ROOT = Path(__file__).parents[2]
#: Pages that people read on the repository's own site, where links have to be valid too.
TOP = (
    "README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "results/README.md", "results/links/README.md",
    "results/camvid/README.md", "results/performance/README.md",
)  # fmt: skip
PAGES = sorted({*TOP, *(page.relative_to(ROOT).as_posix() for page in (ROOT / "docs").rglob("*.md"))})
_CODE = re.compile(r"```.*?```", re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_PATH = re.compile(r"`((?:bench|methods|metrics|results|tests|docs|\.github)/[\w./-]*)`")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def text(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def anchors(page: str) -> set[str]:
    """The anchors of a page's headings, as GitHub and mkdocs both make them."""
    headings = (re.sub(r"[`*\[\]]", "", heading).lower() for heading in _HEADING.findall(_CODE.sub("", text(page))))
    return {re.sub(r"\s", "-", re.sub(r"[^\w\s-]", "", heading).strip()) for heading in headings}


def tracked() -> list[Path]:
    """Files of the repository, as paths relative to it; without git whatever lies in the packages."""
    try:
        listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
        return [Path(line) for line in listed.splitlines() if (ROOT / line).exists()]
    except (OSError, subprocess.CalledProcessError):
        found = (p for package in ("bench", "methods", "metrics") for p in (ROOT / package).rglob("*"))
        return [p.relative_to(ROOT) for p in found if p.is_file() and "__pycache__" not in p.parts]


def test_readme_has_at_most_120_lines_one_table_of_numbers_and_one_picture() -> None:
    page = text("README.md")
    assert len(page.splitlines()) <= 120
    assert len(re.findall(r"!\[", page)) == 1
    assert re.findall(r"<!-- generated: (.+) -->", page) == ["times", "mIoU"]


@pytest.mark.parametrize("page", PAGES)
def test_lines_are_at_most_120_characters_long(page: str) -> None:
    """Rows of tables and comments with sources apart, which cannot be broken; pages with results quote commands."""
    prose = text(page) if page.startswith(("docs/how-to", "docs/guide")) else _CODE.sub("", text(page))
    assert [line for line in prose.splitlines() if len(line) > 120 and not line.startswith(("|", "<!--"))] == []


@pytest.mark.parametrize("page", PAGES)
def test_relative_links_lead_to_files_and_headings(page: str) -> None:
    for target in _LINK.findall(_CODE.sub("", text(page))):
        if re.match(r"https?://", target):
            continue
        path, _, anchor = target.partition("#")
        file = (ROOT / page).parent / path if path else ROOT / page
        where = file.resolve().relative_to(ROOT).as_posix()
        if where == "docs/command-line.md":
            continue  # made when the site is built
        assert file.exists(), target
        assert not anchor or anchor in anchors(where), target


@pytest.mark.parametrize("page", PAGES)
def test_paths_in_prose_exist(page: str) -> None:
    placeholders = re.compile(r".*NAME.*|results/local(/.*)?|results/submissions/your-method.json")
    named = [path for path in _PATH.findall(_CODE.sub("", text(page))) if not placeholders.fullmatch(path)]
    missing = [path for path in named if not (ROOT / path).exists() and not list(ROOT.glob(path))]
    assert missing == []


def options_of(command: Any) -> set[str]:
    """Every option of a command and of those under it."""
    own = {option for one in command.params for option in (*one.opts, *one.secondary_opts)}
    return own.union(*map(options_of, getattr(command, "commands", {}).values()))


@pytest.mark.parametrize("page", PAGES)
def test_options_that_pages_name_exist(page: str) -> None:
    of_torchrun = {"--nproc-per-node", "--nnodes", "--rdzv-backend", "--rdzv-id", "--rdzv-endpoint"}
    of_clusters = {"--array", "--wrap", "--nthreads"}
    of_others = {"--slow", "--dist", "--strict", "--use_ddim", "--diffusion_steps", "--rows"}
    named = set(re.findall(r"(?<![\w-])--[a-z][\w-]*", re.sub(r"<!--.*?-->", "", text(page), flags=re.DOTALL)))
    assert named - options_of(typer.main.get_command(app)) - of_others - of_torchrun - of_clusters == set()


def test_the_picture_of_the_rooms_is_the_codes() -> None:
    """Every room named exists, and every room that exists is named: packages, loose modules, folders of weights."""
    picture = text("ARCHITECTURE.md").split("## The rooms\n```\n")[1].split("```")[0]
    named = {line.split()[0].rstrip("/") for line in picture.splitlines() if line and not line.startswith(" ")}
    files = [file for file in tracked() if file.parts[0] in ("bench", "methods", "metrics")]
    code = {file for file in files if file.suffix in (".py", ".safetensors")}
    whole = {"bench", "methods", "methods/common"}  # they hold rooms, and modules that are rooms of their own
    loose = {file.as_posix() for file in code if file.parent.as_posix() in whole and not file.stem.startswith("__")}
    rooms = {file.parent.as_posix() for file in code} - whole | loose
    assert {room for room in named if not (ROOT / room).exists()} == set()
    assert rooms - named == set()
    assert {room for room in named if room.split("/")[0] in ("bench", "methods", "metrics")} - rooms == set()


def test_the_layers_of_the_architecture_are_the_contracts() -> None:
    contracts = tomllib.loads(text("pyproject.toml"))["tool"]["importlinter"]["contracts"]
    (layers,) = [contract["layers"] for contract in contracts if contract["type"] == "layers"]
    shown = text("ARCHITECTURE.md").split("<!-- layers -->\n```\n")[1].split("\n```")[0]
    assert shown.splitlines() == layers


def test_every_decision_is_listed() -> None:
    index = text("docs/decisions/index.md")
    pages = sorted(page.name for page in (ROOT / "docs" / "decisions").glob("*.md") if page.name != "index.md")
    assert sorted(_LINK.findall(index)) == pages
    for title, page in re.findall(r"- \[(.+)\]\((.+)\)", index):
        assert text(f"docs/decisions/{page}").startswith(f"# {title}\n"), page
