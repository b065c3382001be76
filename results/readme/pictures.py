"""`python -m results.readme.pictures`: the leaderboard's picture, and README's one of pictures and leaderboard.

Builds the site of the committed results and photographs it in Chromium (playwright, the extra `test`).
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

from bench.config import Config
from bench.leaderboard.site import build_site
from results.readme.numbers import ROOT

RESULTS = ROOT / "results"
WIDTH, HEIGHT = 1440, 1000
#: Of the leaderboard's picture so much is on README's.
SHOWN = 920


def photographed(page: Path) -> None:
    """The top of a page of the site as results/leaderboard.png."""
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=shutil.which("chromium"), args=["--disable-gpu"])
        opened = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="light")
        opened.goto(page.as_uri())
        opened.wait_for_selector("#chart[data-curves]")
        opened.screenshot(path=RESULTS / "leaderboard.png")
        browser.close()


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        photographed(build_site([RESULTS, RESULTS / "links"], Path(folder) / "site", Config()))
    sheet, board = (Image.open(RESULTS / name).convert("RGB") for name in ("contact-sheet.png", "leaderboard.png"))
    sheet = sheet.resize((WIDTH, sheet.height * WIDTH // sheet.width), Image.Resampling.LANCZOS)
    both = Image.new("RGB", (WIDTH, sheet.height + SHOWN), "white")
    both.paste(sheet, (0, 0))
    both.paste(board.crop((0, 0, WIDTH, SHOWN)), (0, sheet.height))
    both.save(RESULTS / "overview.webp", quality=88, method=6)


if __name__ == "__main__":
    main()
