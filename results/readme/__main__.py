"""`python -m results.readme [--check]`: see the package."""

from __future__ import annotations

import argparse
import sys

from results.readme import camvid_page, links_page, main_page, performance_page, results_page
from results.readme.blocks import rewritten
from results.readme.numbers import ROOT, Untrue

PAGES = {
    **main_page.PAGES,
    "results/README.md": results_page.BLOCKS,
    "results/camvid/README.md": camvid_page.BLOCKS,
    "results/links/README.md": links_page.BLOCKS,
    "results/performance/README.md": performance_page.BLOCKS,
}


def main() -> None:
    parser = argparse.ArgumentParser(description="Write the numbers of the READMEs from the committed data.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit code 1 where something would change")
    check, stale = parser.parse_args().check, []
    for page, blocks in PAGES.items():
        path = ROOT / page
        text = path.read_text(encoding="utf-8")
        try:
            new = rewritten(page, text, blocks)
        except (Untrue, ValueError) as error:
            sys.exit(f"{page}: {error}")
        if new != text:
            stale.append(page)
            if not check:
                path.write_text(new, encoding="utf-8")
    print(f"{'not what the data say' if check else 'written'}: {', '.join(stale)}" if stale else "all up to date")
    sys.exit(1 if check and stale else 0)


if __name__ == "__main__":
    main()
