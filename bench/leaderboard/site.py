"""Building the site: pages, assets, samples and raw data in one folder that opens from disk and needs no network.

Results and submissions are other people's text. Templates escape it, JSON inside a page has its `<`, `>` and `&`
escaped, scripts make text nodes of it, and addresses become links only where they are http(s).
"""

from __future__ import annotations

import csv
import io
import json
import math
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from bench.api.errors import BenchError, UsageError, storage_message
from bench.api.files import file_digest, replacing
from bench.leaderboard import pages
from bench.leaderboard.board import Board, build_board, read_runs
from bench.leaderboard.load import write_load, write_loads
from bench.leaderboard.methods import About, about_methods, citation_of, paper_of
from bench.leaderboard.names import page_names
from bench.leaderboard.packed import DRAWS
from bench.leaderboard.samples import SCENES, read_index, write_samples
from bench.leaderboard.store import Shelf
from bench.leaderboard.submission import schema_text
from bench.results.dataset import PROVENANCE
from bench.results.files import write_one_file
from bench.results.request import Request

if TYPE_CHECKING:
    from bench.config import Config

PAGES = (
    ("index.html", "Leaderboard"), ("overall.html", "Mean rank"), ("compare.html", "Compare"),
    ("budget.html", "Budgets"), ("samples.html", "Samples"), ("methods.html", "Methods"), ("data.html", "Data"),
)  # fmt: skip
#: A file that marks a folder as one that this module made, and so may replace.
MARKER = ".gesco-bench-site"
SAMPLES = "samples"
_WEB = re.compile(r"https?://[A-Za-z0-9.-]+(:[0-9]+)?(/\S*)?")


def build_site(
    results: Sequence[Path],
    out: Path,
    config: Config,
    scenes: int = SCENES,
    say: Callable[[str], None] = lambda line: None,
    repository: str | None = None,
) -> Path:
    """Write the site of the results in the folders, with their submissions and samples, to `out`; its index page.

    Samples are those in RESULTS/samples, else `scenes` scenes from the run's cache where there is one. `out` is
    replaced whole, and only where it is empty or an earlier site. `say` gets a line for what is left out; `repository`
    is the web address that pages link to. Raises as `Shelf.read` and `build_board` do, before anything is written.
    """
    if repository is not None and not _WEB.fullmatch(repository):
        raise UsageError(f"--repository {repository} is no web address such as https://github.com/you/gesco-bench")
    if out.exists() and (not out.is_dir() or (any(out.iterdir()) and not (out / MARKER).is_file())):
        raise UsageError(f"{out} exists and is no site of ours, so it is not replaced; choose another --out")
    shelves = [Shelf(folder) for folder in results]
    submitted = [submission for shelf in shelves for submission in shelf.read()]
    board = build_board([run for s in shelves for run in s.runs or read_runs([s.results])], submitted)
    about = about_methods(board)
    gaps = {s.name: [gap for shelf in shelves for gap in shelf.gaps(s)] for s in submitted}
    try:
        with replacing(out) as draft:
            draft.mkdir()
            indices = list(_samples(board, draft, config, scenes, say))
            downloads = list(_data(board, about, draft))
            _assets(draft)
            write_loads(board, about, draft)
            _pages(board, about, gaps, indices, downloads, draft, repository)
            (draft / MARKER).write_text("made by `bench leaderboard build`, which replaces this folder\n", "utf-8")
    except OSError as error:
        message = storage_message(error, out)
        raise (BenchError(message) if message else error) from error
    return out / "index.html"


def _samples(
    board: Board, draft: Path, config: Config, scenes: int, say: Callable[[str], None]
) -> Iterator[dict[str, Any]]:
    (draft / SAMPLES).mkdir()
    made = 0
    for run in board.runs:
        kept, target = run.folder / SAMPLES, draft / SAMPLES / str(made)
        index = read_index(kept)
        if index is not None:
            shutil.copytree(kept, target, ignore=_links)
        elif any((run.folder / folder).is_dir() for folder in run.facts.get("cell_folders", ())):
            index = write_samples(Request(run.folder, run.frame, run.facts, target, config=config, say=say), scenes)
        else:
            say(
                f"no pictures: {run.folder} has neither samples nor a cache (`bench leaderboard samples` makes samples)"
            )
            continue
        made += 1
        yield index


def _links(folder: str, names: list[str]) -> list[str]:
    """Links among samples: whatever they lead to is not published."""
    return [name for name in names if (Path(folder) / name).is_symlink()]


@lru_cache(maxsize=1)
def vega_bundle() -> str:
    """Vega, Vega-Lite and vega-embed in one script without dependencies, as the package vl-convert-python has them."""
    import vl_convert

    return str(vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;"))


def _assets(draft: Path) -> None:
    folder = draft / "assets"
    folder.mkdir()
    for asset in (files("bench.leaderboard") / "assets").iterdir():
        (folder / asset.name).write_bytes(asset.read_bytes())
    (folder / "vega.js").write_text(vega_bundle(), encoding="utf-8")


HEADER = (
    "dataset_split_size_scenes", "channel", "psnr", "metric", "protocol", "higher_is_better", "method", "title",
    "submitted_by", "value", "low", "high", "std", "stderr", "rank", "noise",
)  # fmt: skip


def _rows(board: Board, about: Mapping[str, About]) -> Iterator[tuple[object, ...]]:
    for view in (*board.views, *board.parts):
        for name, row in view.rows.items():
            for psnr, one in zip(view.psnrs, row, strict=True):
                if one is not None:
                    (low, high), who = one.interval or (None, None), ", ".join(about[name].authors)
                    yield (
                        view.track, view.channel, psnr, view.metric, view.protocol, view.higher_is_better, name,
                        about[name].title, who, one.value, low, high, one.std, one.stderr,
                        one.rank, one.noise,
                    )  # fmt: skip


def _data(board: Board, about: Mapping[str, About], draft: Path) -> Iterator[dict[str, str]]:
    """Write the files to download; each with what it is."""
    rows = list(_rows(board, about))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEADER)
    for row in rows:  # text that a spreadsheet would take for a formula is quoted
        writer.writerow([f"'{v}" if isinstance(v, str) and v.startswith(("=", "+", "-", "@")) else v for v in row])
    yield _download(draft, "results.csv", text.getvalue().encode(), "every number on this site, with interval and rank")
    named = [zip(HEADER, row, strict=True) for row in rows]
    finite = [{k: v for k, v in row if not isinstance(v, float) or math.isfinite(v)} for row in named]
    made = json.dumps(finite, indent=0, allow_nan=False).encode()
    yield _download(draft, "results.json", made, "the same as JSON; undefined values are left out")
    for number, run in enumerate(board.runs):
        label = "" if len(board.runs) == 1 else f"-{number}"
        write_one_file(run.folder, draft / "data" / f"run{label}.parquet", pages.published_facts)
        yield _offered(draft, f"run{label}.parquet", "the run's rows, by scene too, with what scenes contribute")
        file = run.folder / PROVENANCE
        whole = json.loads(file.read_bytes()) if file.is_file() else run.facts
        facts = json.dumps(pages.published_facts(whole), indent=1, ensure_ascii=False).encode()
        yield _download(draft, f"provenance{label}.json", facts, "where the run's numbers come from")
    for name, submission in board.submissions.items():
        what = f"submission of {', '.join(about[name].authors)}"
        made = json.dumps(submission.data, indent=1, allow_nan=False).encode()
        yield _download(draft, f"submissions/{name}.json", made, what)
    yield _download(draft, "submission.schema.json", schema_text().encode(), "JSON schema of a submission, version 2")


def _download(draft: Path, name: str, data: bytes, what: str) -> dict[str, str]:
    file = draft / "data" / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)
    return _offered(draft, name, what)


def _offered(draft: Path, name: str, what: str) -> dict[str, str]:
    """A file of the site's data as pages name it."""
    file = draft / "data" / name
    count = file.stat().st_size
    size = f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{max(1, round(count / 1e3))} kB"
    return {"path": f"data/{name}", "what": what, "size": size, "sha256": file_digest(file)}


def _pages(
    board: Board, about: Mapping[str, About], gaps: Mapping[str, list[str]], indices: Sequence[Mapping[str, Any]],
    downloads: Sequence[Mapping[str, str]], draft: Path, repository: str | None,
) -> None:  # fmt: skip
    from importlib.metadata import version

    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("bench.leaderboard"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.tests["web_address"] = lambda text: bool(_WEB.fullmatch(text))
    runs = [pages.run_facts(run, number, len(board.runs)) for number, run in enumerate(board.runs)]
    shared = {
        "pages": PAGES,
        "version": version("gesco-bench"),
        "runs": runs,
        "repository": repository,
        "paper": paper_of("gesco"),
    }

    def write(name: str, template: str, **data: object) -> None:
        file = draft / name
        file.parent.mkdir(parents=True, exist_ok=True)
        root = "../" * name.count("/")
        current = "methods.html" if name.startswith("methods/") else name
        text = environment.get_template(template).render(root=root, current=current, **shared, **data)
        file.write_text(text, encoding="utf-8")

    samples = pages.sample_data(board, about, indices)
    write_load(draft, "samples", samples)
    paths = page_names(board.methods)
    write("index.html", "index.html", facts=site_facts(board))
    write("overall.html", "overall.html", draws=DRAWS)
    write("compare.html", "compare.html", samples=bool(samples))
    write("budget.html", "budget.html")
    write("samples.html", "samples.html", samples=samples)
    write("methods.html", "methods.html", methods=[{"about": about[m], "page": paths[m]} for m in board.methods])
    measured: dict[str, set[str]] = {}
    for view in board.views:
        measured.setdefault(view.protocol, set()).add(view.metric)
    protocols = [(protocol, sorted(metrics)) for protocol, metrics in measured.items()]
    write("data.html", "data.html", downloads=downloads, protocols=protocols, citation=citation_of("gesco"))
    for method in board.methods:
        sets = [s["key"] for s in samples if any(one["spec"] == method for one in s["methods"])]
        sampled = urlencode({"set": sets[0], "q": method}) if sets else ""
        write(
            paths[method], "method.html", about=about[method], tables=pages.method_tables(board, method),
            gaps=gaps.get(method, []), sampled=sampled, board_links=list(pages.board_links(board, method)),
        )  # fmt: skip


def site_facts(board: Board) -> list[tuple[str, str]]:
    """Numbers for the head of the ranking page."""
    submitted = len(board.submissions)
    sets: dict[tuple[str, str, str], int] = {}  # a set of more scenes begins with those of a smaller one
    for track in board.tracks:
        key = track.dataset, track.split, track.size
        sets[key] = max(track.scenes, sets.get(key, 0))
    counts = [
        (len(board.methods), "methods" + (f", {submitted} of them submitted" if submitted else "")),
        (sum(sets.values()), f"scenes of {', '.join(dict.fromkeys(dataset for dataset, _, _ in sets))}"),
        (len({psnr for view in board.views for psnr in view.psnrs}), "channel qualities"),
        (len({view.metric for view in board.views}), "metrics"),
    ]
    return [(f"{number:,}", what) for number, what in counts]
