"""What `mkdocs` asks of this project: results/ as pages, the command line's own help, and the notebook as a page."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from mkdocs.structure.files import File, Files

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
#: The page about the paper's values, which lies beside them in the package.
PUBLISHED = ROOT / "bench" / "results" / "published" / "README.md"
#: Links, most from results/, as they are valid in the repository and in the site.
INSIDE = {
    "](how-to/notebook.ipynb": "](how-to/notebook.md",  # rendered on GitHub, a page made here
    "](../bench/results/published/README.md": "](published.md",
    "](../docs/": "](../",
    "](../../docs/": "](../../",
}
#: Folders of results that are no documents: what this machine has run, and the pictures behind the leaderboard.
LEFT_OUT = {"local", "samples", "plots", "readme", "submissions"}
#: A link from docs/ to results/, as it is valid in the repository; the site has results/ inside.
TO_RESULTS = re.compile(r"(?<=\]\()\.\./(?=(?:\.\./)*results/)")
DOWNLOAD = "[This page as a notebook](notebook.ipynb), to run it. All that `import bench` has: [API](../api/python.md)."
INTRODUCTION = "Every command and every option, as `bench COMMAND --help` prints them."


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages of results/, with their pictures, under the paths that they have there, and the command line's."""
    for path in sorted((ROOT / "results").rglob("*")):
        inside = path.relative_to(ROOT)
        if path.suffix in {".md", ".png", ".webp", ".py"} and not LEFT_OUT & set(inside.parts):
            files.append(File.generated(config, inside.as_posix(), abs_src_path=str(path)))
    files.append(File.generated(config, "results/published.md", abs_src_path=str(PUBLISHED)))
    files.append(File.generated(config, "command-line.md", content=command_line()))
    files.append(File.generated(config, "how-to/notebook.md", content=notebook()))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Makes links to results/, and those from there, lead to the site's copies."""
    for link, inside in INSIDE.items():
        markdown = markdown.replace(link, inside)
    return TO_RESULTS.sub("", markdown)


def command_line() -> str:
    """Markdown about every command, made by Typer out of the commands themselves."""
    asked = [sys.executable, "-m", "typer", "bench.cli", "utils", "docs", "--name", "bench", "--title", "Command line"]
    made = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    heading, _, rest = made.partition("\n\n")
    return f"{heading}\n\n{INTRODUCTION}\n\n{rest}"


def notebook() -> str:
    """Markdown of the notebook: its texts, and its code between fences; it is stored without outputs."""
    cells = json.loads((ROOT / "docs" / "how-to" / "notebook.ipynb").read_text(encoding="utf-8"))["cells"]
    texts = [
        "".join(cell["source"]) if cell["cell_type"] == "markdown" else f"```python\n{''.join(cell['source'])}\n```"
        for cell in cells
    ]
    return "\n\n".join([*texts, DOWNLOAD])
