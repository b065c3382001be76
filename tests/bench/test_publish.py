"""What other repositories run: the workflow of the leaderboard's pages, and the reusable one of regressions."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import Answer
from plugin_environment import PLUGIN, bench, clean, make_environment
from regress_frames import workflow

Cli = Callable[..., Answer]
ROOT = Path(__file__).parents[2]
GIT = ("git", "-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "init.defaultBranch=main")


def git(folder: Path, *arguments: str) -> None:
    subprocess.run([*GIT, *arguments], cwd=folder, check=True, capture_output=True)


# --- pages


@pytest.fixture
def repository(fakes: Path) -> Path:
    """The working folder as a repository of results."""
    git(fakes, "init")
    git(fakes, "remote", "add", "origin", "git@github.com:Somebody/their-board.git")
    (fakes / "results").mkdir()
    for part in ("rows", "draws"):
        shutil.copytree(ROOT / "results" / part, fakes / "results" / part)
    shutil.copy(ROOT / "results" / "provenance.json", fakes / "results")
    return fakes


def test_publishing_says_what_it_would_do_and_writes_nothing(cli: Cli, repository: Path) -> None:
    told = cli("leaderboard", "publish").out
    assert ".github/workflows/leaderboard.yml (to be written) at each push to main:" in told
    assert "installs gesco-bench==" in told
    assert "publishes it at https://somebody.github.io/their-board/" in told
    assert "nothing was written; --write does it" in told
    assert not (repository / ".github").exists()


def test_the_workflow_builds_with_what_this_command_has_and_deploys_pages(cli: Cli, repository: Path) -> None:
    assert cli("leaderboard", "publish", "--write", "--install", "git+https://x.org/bench@v1").code == 0
    made = yaml.safe_load((repository / ".github" / "workflows" / "leaderboard.yml").read_text())
    steps = made["jobs"]["build"]["steps"]
    commands = [shlex.split(step["run"]) for step in steps if "run" in step]
    assert commands[0] == ["pip", "install", "--quiet", "git+https://x.org/bench@v1"]
    assert cli(*commands[1][1:], "--help").code == 0
    here = ["--repository", "$GITHUB_SERVER_URL/$GITHUB_REPOSITORY"]
    assert commands[1][1:] == ["leaderboard", "build", "--results", "results", "--out", "site", *here]
    assert made["jobs"]["publish"]["permissions"] == {"pages": "write", "id-token": "write"}
    assert made[True]["push"]["branches"] == ["main"]
    assert "(up to date)" in cli("leaderboard", "publish", "--install", "git+https://x.org/bench@v1").out
    assert "(to be replaced)" in cli("leaderboard", "publish", "--branch", "trunk").out


def test_this_project_installs_its_own_checkout(cli: Cli, repository: Path) -> None:
    shutil.copy(ROOT / "pyproject.toml", repository)
    assert "installs .\n" in cli("leaderboard", "publish").out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--results", "elsewhere"), "there are no results in elsewhere of this repository"),
        (("--results", "../results"), "name a folder of this repository"),
    ],
)
def test_what_cannot_be_published_is_told(cli: Cli, repository: Path, arguments: tuple[str, ...], told: str) -> None:
    answer = cli("leaderboard", "publish", *arguments)
    assert answer.code == 2
    assert told in answer.err
    shutil.rmtree(repository / ".git")
    assert "is not the top of a git repository" in cli("leaderboard", "publish").err


# --- regressions, in a repository that holds a plug-in alone


def expressed(value: Any, inputs: Mapping[str, Any]) -> str:
    """The text of a step's value, `${{ inputs.NAME }}` filled in."""
    return re.sub(r"\$\{\{ inputs\.([\w-]+) \}\}", lambda found: str(inputs[found[1]]), str(value))


def run_steps(checkout: Path, environment: Mapping[str, str], **given: Any) -> subprocess.CompletedProcess[str]:
    """The workflow's shell steps, as a runner takes them, until one fails; checkouts are done by git."""
    told = yaml.safe_load(workflow("regress.yml").read_text())
    inputs = {name: one.get("default", "") for name, one in told[True]["workflow_call"]["inputs"].items()} | given
    assert set(given) <= set(told[True]["workflow_call"]["inputs"])
    done = subprocess.CompletedProcess("", 0, "", "")
    for step in told["jobs"]["regress"]["steps"]:
        if step.get("uses", "").startswith("actions/checkout") and "with" in step:
            git(checkout, "clone", "--quiet", str(checkout), step["with"]["path"])
        if "run" in step and not done.returncode:
            variables = {name: expressed(value, inputs) for name, value in step.get("env", {}).items()}
            done = subprocess.run(
                ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
                cwd=checkout, env={**environment, **variables}, capture_output=True, text=True,
            )  # fmt: skip
    shutil.rmtree(checkout / ".regress-base")
    return done


@pytest.mark.slow
def test_the_reusable_workflow_runs_a_third_partys_plug_in(tmp_path: Path) -> None:
    """Installed by the workflow's own steps: this project from what `bench` names, and the repository's package."""
    pytest.importorskip("pip", reason="installs with pip")
    make_environment(tmp_path, plugins=())
    checkout = tmp_path / "theirs"
    shutil.copytree(PLUGIN, checkout, ignore=shutil.ignore_patterns("__pycache__"))
    (checkout / "bench.toml").write_text('[run]\ndevice = "cpu"\njobs = 1\n')
    bin_folder = tmp_path / "bin"
    bin_folder.mkdir()
    offline = "--no-deps --no-build-isolation --no-index"
    pip = f'exec {sys.executable} -m pip --python {tmp_path}/venv/bin/python "$@" {offline}'
    (bin_folder / "pip").write_text(f"#!/bin/bash\n{pip}\n")
    (bin_folder / "pip").chmod(0o755)
    path = os.pathsep.join([str(bin_folder), str(tmp_path / "venv" / "bin"), os.environ["PATH"]])
    environment = {**clean(tmp_path), "PATH": path, "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md")}
    subprocess.run(["pip", "install", "--quiet", "-e", "."], cwd=checkout, env=environment, check=True)
    asked = ("--methods", "label_paint", "--psnr", "100", "--scenes", "8", "--metrics", "MAE", "--out", "results")
    assert bench(tmp_path, checkout, "run", *asked).returncode == 0
    git(checkout, "init")
    git(checkout, "add", "-f", ".")
    git(checkout, "commit", "-m", "The method and what it gives")
    named = {"bench": str(tmp_path / "project"), "methods": "label_paint", "scenes": 8}

    same = run_steps(checkout, environment, **named)
    assert same.returncode == 0, same.stdout + same.stderr
    assert "bench regress: no regression: 1 same" in (tmp_path / "summary.md").read_text()

    file = checkout / "label_paint.py"
    file.write_text(file.read_text().replace("for name in space.names]) / 255", "for name in space.names]) / 2550"))
    worse = run_steps(checkout, environment, **named)
    assert worse.returncode == 1, worse.stdout + worse.stderr
    assert "REGRESSION" in worse.stdout
    assert (checkout / "regress" / "worst-scenes.png").is_file()
