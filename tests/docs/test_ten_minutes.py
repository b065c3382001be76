"""The page "Ten minutes" to the letter, in a fresh environment: each command answers, and its steps lead on."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest
from plugin_environment import ROOT, clean, make_environment

PAGE = ROOT / "docs" / "ten-minutes.md"
_FENCE = re.compile(r"^```(?P<kind>\w+)(?: title=\"(?P<title>[^\"]+)\")?\n(?P<text>.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.mark.slow
def test_a_new_user_gets_through_the_page(tmp_path: Path) -> None:
    pytest.importorskip("pip", reason="installs with pip")
    make_environment(tmp_path, plugins=())
    work = tmp_path / "work"
    work.mkdir()
    install, *fences = _FENCE.finditer(PAGE.read_text(encoding="utf-8"))
    assert install["text"].splitlines()[-1] == "pip install -e ."  # which the environment has done
    told = {}
    for fence in fences:
        if fence["title"]:
            (work / fence["title"]).write_text(fence["text"])
            continue
        for line in fence["text"].splitlines():
            program, *arguments = shlex.split(line)
            command = [tmp_path / "venv" / "bin" / program, *arguments]
            done = subprocess.run(command, cwd=work, env=clean(tmp_path), capture_output=True, text=True)
            assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
            assert done.stdout.strip(), line
            told[line] = done.stdout
    assert all(name in told["bench list methods"] for name in ("full_image", "smis"))
    assert "mIoU" in told["bench list metrics"]
    assert "95 % interval" in told["bench compare smis full_image --psnr 10"]
    figure = next(line for line in told["bench plot psnr"].split() if line.endswith(".png"))
    assert (work / figure).is_file()
    assert "Unpackaged: the method palette_paint" in " ".join(told["python palette.py"].split())
    pages = " ".join(
        page.read_text() for page in (work / "site").rglob("*") if page.suffix in (".html", ".js", ".json")
    )
    assert "palette_paint" in pages
