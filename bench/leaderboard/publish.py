"""The workflow that builds the leaderboard at each push and publishes it on GitHub Pages."""

from __future__ import annotations

import re
import subprocess
import tomllib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from bench.api.errors import UsageError
from bench.api.provenance import package_version
from bench.results.folder import holds_results

WORKFLOW = Path(".github/workflows/leaderboard.yml")
DISTRIBUTION = "gesco-bench"
_REMOTE = re.compile(r"github\.com[:/](?P<owner>[\w.-]+)/(?P<name>[\w.-]+?)(?:\.git)?/?$")


@dataclass(frozen=True)
class Publication:
    """What would be written into the repository in `folder`: a workflow that does `install`.

    `address` is where its site would be, None where that is not known.
    """

    folder: Path
    install: str
    text: str
    address: str | None

    @property
    def path(self) -> Path:
        """The workflow's file."""
        return self.folder / WORKFLOW

    @property
    def state(self) -> str:
        """What writing it would do."""
        if not self.path.is_file():
            return "to be written"
        return "up to date" if self.path.read_text(encoding="utf-8") == self.text else "to be replaced"


def publication(folder: Path, results: Path, branch: str, install: str | None = None) -> Publication:
    """The workflow for the repository in `folder`, whose pushes to `branch` publish the site of `results`.

    `results` is a folder in the repository. `install` is what pip installs; without it the checkout, where it is this
    project's, else the version that runs here. UsageError where there is no repository or are no results.
    """
    if not (folder / ".git").exists():
        raise UsageError(f"{folder.resolve()} is not the top of a git repository; run this where the workflow belongs")
    if results.is_absolute() or ".." in results.parts:
        raise UsageError(f"--results {results}: name a folder of this repository, relative to its top")
    if not holds_results(folder / results):
        raise UsageError(f"there are no results in {results} of this repository: `bench run --out {results}` has some")
    loader = Environment(  # noqa: S701 - YAML, not HTML
        loader=PackageLoader("bench.leaderboard"), undefined=StrictUndefined, variable_start_string="<<",
        variable_end_string=">>", keep_trailing_newline=True,
    )  # fmt: skip
    install = install or _requirement(folder)
    text = loader.get_template("publish.yml").render(results=results.as_posix(), branch=branch, install=install)
    return Publication(folder, install, text, _address(folder))


def _requirement(folder: Path) -> str:
    with suppress(OSError, tomllib.TOMLDecodeError):
        if tomllib.loads((folder / "pyproject.toml").read_text()).get("project", {}).get("name") == DISTRIBUTION:
            return "."
    return f"{DISTRIBUTION}=={package_version(DISTRIBUTION)}"


def _address(folder: Path) -> str | None:
    """Where GitHub serves the pages of the repository that `origin` names."""
    command = ["git", "-C", str(folder), "remote", "get-url", "origin"]
    try:
        told = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603
    except (OSError, subprocess.CalledProcessError):
        return None
    found = _REMOTE.search(told)
    if found is None:
        return None
    owner, name = found["owner"].lower(), found["name"]
    return f"https://{owner}.github.io/" + ("" if name.lower() == f"{owner}.github.io" else f"{name}/")
