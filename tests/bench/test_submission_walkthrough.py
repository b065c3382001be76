"""The page "Submit your method's numbers" to the letter, with the example plug-in really installed."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import leaderboard_fakes
import pytest
from plugin_environment import ROOT, bench, clean, make_environment

#: Few scenes and metrics. The commands are the page's own.
TOML = '[run]\nmetrics = ["mIoU", "LPIPS", "MAE"]\ndevice = "cpu"\njobs = 1\n'
IN_PLACE_OF = {"your_method": "label_paint", "your-method": "label-paint", "https://…": "https://example.org/label"}


def commands() -> list[list[str]]:
    """The page's commands, for the example plug-in on four scenes."""
    page = (ROOT / "docs" / "how-to" / "submit.md").read_text(encoding="utf-8").replace("\\\n", "")
    steps = re.findall(r"^bench (.+)$", page, re.MULTILINE)
    for words, instead in IN_PLACE_OF.items():
        steps = [step.replace(words, instead) for step in steps]
    return [shlex.split(re.sub(r"--scenes \d+", "--scenes 4", step)) for step in steps]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone of the project with small results, it and the plug-in installed; numbers need a commit."""
    pytest.importorskip("pip", reason="installs with pip")
    if shutil.which("git") is None:
        pytest.skip("needs git")
    folder = tmp_path_factory.mktemp("submission")
    make_environment(folder, editable=True)
    project = folder / "project"
    leaderboard_fakes.write_run(project / "results")
    (project / "bench.toml").write_text(TOML)
    who = ("-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false")
    for arguments in (("init", "--quiet"), ("add", "pyproject.toml"), (*who, "commit", "--quiet", "-m", "A clone")):
        subprocess.run(["git", *arguments], cwd=project, env=clean(folder), check=True)
    return folder


def test_the_page_to_the_letter_ends_on_the_board(checkout: Path) -> None:
    project = checkout / "project"
    steps = commands()
    assert [step[:2] for step in steps] == [["run", "--methods"], ["leaderboard", "export"], ["leaderboard", "add"]]
    for step in steps:
        done = bench(checkout, project, *step)
        assert done.returncode == 0, (step, done.stderr)
    assert [file.name for file in (project / "results" / "submissions").iterdir()] == ["label-paint.json"]
    for after in (["check"], ["build", "--results", "results", "--out", "site"],
                  ["build", "--results", "results", "--results", "results/local", "--out", "both"],
                  ["add", "label-paint.json", "--results", "elsewhere"]):  # fmt: skip
        done = bench(checkout, project, "leaderboard", *after)
        assert done.returncode == 0, (after, done.stderr)
    shown = json.loads((project / "site" / "data" / "results.json").read_text())
    assert {row["title"] for row in shown if row["method"] == "label-paint"} == {"Label paint"}
    assert {row["method"] for row in shown if row["method"].startswith("label")} == {"label-paint"}
    assert {row["metric"] for row in shown if row["method"] == "label-paint"} >= {"mIoU", "LPIPS", "MAE"}, (
        "a metric of another package is exported, submitted and shown like ours"
    )


def test_the_name_of_a_built_in_method_stays_refused(checkout: Path) -> None:
    project = checkout / "project"
    data = json.loads((project / "label-paint.json").read_text())
    del data["digest"]  # as whoever edits a file has to
    data["method"]["name"] = "gesco-fdstrain"
    (project / "gesco-fdstrain.json").write_text(json.dumps(data))
    done = bench(checkout, project, "leaderboard", "add", "gesco-fdstrain.json", "--results", "elsewhere")
    assert done.returncode == 2
    assert "has the name of 'gesco_fdstrain', a method of these results or of this benchmark" in done.stderr
