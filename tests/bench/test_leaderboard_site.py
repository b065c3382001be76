"""The site: what is written, that nothing of it is another's code, and that what is in the way is kept."""

from __future__ import annotations

import csv
import itertools
import json
import re
import shutil
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import leaderboard_fakes as fakes_
import pandas as pd
import pytest
from PIL import Image
from table_frames import all_rows

from bench.api.errors import BenchError, UsageError
from bench.config import Config
from bench.leaderboard import site as site_module
from bench.leaderboard.looks import looks
from bench.leaderboard.names import method_ids, page_names, set_names
from bench.leaderboard.pages import published
from bench.leaderboard.site import PAGES, build_site
from bench.results.files import read_results, write_results
from bench.results.published import paper_values
from bench.results.schema import COLUMNS
from bench.tables.build import PAPER_TABLES

EVIL = '</script><script>alert(1)</script><img src=x onerror="alert(2)">'
Cli = Callable[..., Any]


@pytest.fixture(autouse=True)
def no_bundle(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bundling Vega takes seconds; the browser's tests have the real one."""
    monkeypatch.setattr(site_module, "vega_bundle", lambda: "/* vega */")


@pytest.fixture
def results(tmp_path: Path) -> Path:
    return fakes_.write_run(tmp_path / "results")


class Page(HTMLParser):
    """Tags and attributes of a page."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(file.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def all(self, tag: str) -> Iterator[dict[str, str | None]]:
        return (attributes for name, attributes in self.tags if name == tag)


def loaded(site: Path, name: str) -> Any:
    """What a page gets of a file that it loads."""
    found = re.fullmatch(rf"Site\.receive\('{name}', '(.*)'\);\n", (site / "load" / f"{name}.js").read_text("ascii"))
    assert found
    return json.loads(re.sub(r"\\(.)", r"\1", found[1]))


def pages_of(site: Path) -> list[Path]:
    return sorted(site.rglob("*.html"))


def test_every_number_is_on_the_site_and_in_its_files(results: Path, tmp_path: Path) -> None:
    site = build_site([results], tmp_path / "site", Config()).parent
    assert [m["name"] for m in loaded(site, "board")["methods"]] == list(fakes_.METHODS)
    data = loaded(site, "sets/streets")
    assert {v["metric"] for v in data["views"]} == set(fakes_.METRICS)
    with (site / "data" / "results.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(json.loads((site / "data" / "results.json").read_text())) == 4 * 3 * 5
    mine = next(r for r in rows if (r["method"], r["metric"], r["psnr"]) == ("gesco", "mIoU", "10.0"))
    (view,) = [v for v in data["views"] if v["metric"] == "mIoU"]
    value, _, _, rank = dict(view["rows"])[fakes_.METHODS.index("gesco")][view["psnrs"].index(10)]
    assert value == pytest.approx(float(mine["value"]), rel=1e-5)
    assert rank == int(mine["rank"])
    (tmp_path / "theirs").mkdir()  # what is offered is read as a folder's results
    (site / "data" / "run.parquet").rename(tmp_path / "theirs" / "results.parquet")
    key, columns = ["method", "psnr", "scene", "metric"], [*COLUMNS]
    theirs, ours = (
        all_rows(folder).sort_values(key)[columns].reset_index() for folder in (tmp_path / "theirs", results)
    )
    pd.testing.assert_frame_equal(theirs.drop(columns="index"), ours.drop(columns="index"))


def test_every_link_and_file_of_every_page_is_there(results: Path, tmp_path: Path) -> None:
    fakes_.write_sample_set(results / "samples")
    site = build_site([results], tmp_path / "site", Config()).parent
    local = 0
    for file in pages_of(site):
        page = Page(file)
        ids = {a["id"] for _, a in page.tags if a.get("id")}
        assert len(ids) == len([a for _, a in page.tags if a.get("id")]), f"an id stands twice in {file.name}"
        for attributes in [*page.all("a"), *page.all("link"), *page.all("script"), *page.all("img")]:
            target = attributes.get("href") or attributes.get("src")
            if target and not target.startswith(("http", "#")):
                path = (file.parent / target.partition("#")[0]).resolve()
                assert path.is_file(), f"{file.name} leads to {target}"
                local += 1
    assert local > 50
    assert len(pages_of(site)) == len(PAGES) + len(fakes_.METHODS)


def test_pages_hold_no_inline_code_and_forbid_any_other(results: Path, tmp_path: Path) -> None:
    site = build_site([results], tmp_path / "site", Config()).parent
    for file in pages_of(site):
        page = Page(file)
        (policy,) = [a["content"] for a in page.all("meta") if a.get("http-equiv") == "Content-Security-Policy"]
        assert policy is not None
        assert "default-src 'none'" in policy
        assert "unsafe-eval" not in policy
        assert "http" not in policy
        assert all("src" in a for a in page.all("script"))
        assert not [key for _, a in page.tags for key in a if key.startswith("on")]
    for script in (site / "assets").glob("*.js"):
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacent|document\.write|\beval\(|new Function", script.read_text()
        )


def test_a_hostile_submission_is_shown_as_text(results: Path, tmp_path: Path) -> None:
    data = fakes_.submission(
        title=EVIL, authors=[EVIL, "=HYPERLINK(1)"], description=EVIL, licence=EVIL, citation=EVIL, options={"a": EVIL},
        paper="https://example.org/a?b=c&d=e",
    )  # fmt: skip
    data["method"]["title"] = EVIL[:80]
    data["method"]["authors"] = [EVIL[:80], "=HYPERLINK(1)"]
    data["provenance"]["command"] = EVIL
    data["results"][-1]["protocol"] = EVIL
    fakes_.shelve(results / "submissions" / "their-method.json", data)
    fakes_.write_sample_set(results / "samples", (*fakes_.METHODS, "their-method"))
    clean = build_site([fakes_.write_run(tmp_path / "clean")], tmp_path / "other", Config()).parent
    site = build_site([results], tmp_path / "site", Config()).parent
    for file in pages_of(site):
        page = Page(file)
        assert "alert(1)" not in [a.get("src") for a in page.all("script")]
        assert not [a for a in page.all("img") if a.get("src") == "x"]
        twin = clean / file.relative_to(site)
        if twin.is_file():
            assert (
                len(list(page.all("script"))) == len(list(Page(twin).all("script"))) + (file.name == "samples.html") * 3
            )
    board = loaded(site, "board")
    theirs = next(m for m in board["methods"] if m["name"] == "their-method")
    assert theirs["title"] == EVIL[:80]
    assert theirs["submitted"]
    text = (site / "methods" / "their-method.html").read_text()
    assert "this project has not measured them" in text
    assert 'href="https://example.org/a?b=c&amp;d=e" rel="noopener noreferrer nofollow"' in text
    assert "'=HYPERLINK(1)" not in (site / "data" / "results.csv").read_text()  # it stands in the middle of the cell
    assert json.loads((site / "data" / "submissions" / "their-method.json").read_text()) == data


def test_a_cell_of_the_csv_is_never_a_formula(results: Path, tmp_path: Path) -> None:
    fakes_.shelve(results / "submissions" / "their-method.json", fakes_.submission(title="=1+1", authors=["@x"]))
    site = build_site([results], tmp_path / "site", Config()).parent
    with (site / "data" / "results.csv").open() as file:
        theirs = [row for row in csv.DictReader(file) if row["method"] == "their-method"]
    assert {(row["title"], row["submitted_by"]) for row in theirs} == {("'=1+1", "'@x")}


def test_a_method_page_tells_configuration_weights_licence_costs_and_citation(results: Path, tmp_path: Path) -> None:
    site = build_site([results], tmp_path / "site", Config()).parent
    text = (site / "methods" / "gesco.html").read_text()
    for expected in (
        "12" * 32,
        "Licence unknown",
        "<code>steps</code>",
        "as run",
        "grassucci2023gesco",
        "bits",
        "seconds",
    ):
        assert expected in text, expected
    assert "Weights</dt><dd>none" in (site / "methods" / "full_image.html").read_text()


def test_nothing_that_the_site_offers_names_a_folder_of_the_machine(results: Path, tmp_path: Path) -> None:
    frame, facts = read_results(results)
    facts["runs"][0]["command"] = "bench run --out /home/ada/runs"
    facts["weights_dirs"] = {"gesco": "/home/ada/weights"}
    write_results(frame, facts, results)
    site = build_site([results], tmp_path / "site", Config()).parent
    assert b"/home/ada/weights" in (results / "provenance.json").read_bytes()
    for file in site.rglob("*"):
        assert not file.is_file() or b"/home/ada" not in file.read_bytes(), file
    read_again = tmp_path / "again"
    read_again.mkdir()
    shutil.copy(site / "data" / "run.parquet", read_again / "results.parquet")
    pd.testing.assert_frame_equal(read_results(read_again)[0], frame, check_like=True)


def test_published_commands_have_no_folders_of_the_machine(tmp_path: Path) -> None:
    assert published("bench run --out /home/ada/runs/l15 --jobs 2") == "bench run --out …/l15 --jobs 2"
    assert (
        published("no weights in ~/data/gesco/, see https://a.org/b/c")
        == "no weights in …/gesco, see https://a.org/b/c"
    )
    assert published("psnr 100/30, C:\\Users\\ada\\out") == "psnr 100/30, …/out"
    assert published("oasis+digital:link=qpsk@5/6 --out results/local") == (
        "oasis+digital:link=qpsk@5/6 --out results/local"
    )


def test_every_page_links_to_paper_repository_and_submissions_and_names_a_commit_once(
    results: Path, tmp_path: Path
) -> None:
    site = build_site([results, fakes_.write_run(tmp_path / "b", ("oasis",))], tmp_path / "site", Config(),
                      repository="https://example.org/us").parent  # fmt: skip
    for file in pages_of(site):
        text, links = file.read_text(), [a.get("href") for a in Page(file).all("a")]
        assert "https://arxiv.org/abs/2306.04321" in links
        assert "https://example.org/us" in links
        assert [link for link in links if link and link.endswith("data.html#submit")]
        assert text.partition("<footer")[2].count(fakes_.COMMIT[:8]) == 1, file
    assert (site / "data.html").read_text().count(fakes_.COMMIT[:12]) == 2  # a run each
    with pytest.raises(UsageError, match="is no web address"):
        build_site([results], tmp_path / "site", Config(), repository="javascript:alert(1)")


def test_the_papers_values_lie_beside_ours_where_the_channel_is_the_papers(tmp_path: Path) -> None:
    site = build_site([fakes_.write_run(tmp_path / "results")], tmp_path / "site", Config()).parent
    views = {view["metric"]: view for view in loaded(site, "sets/streets")["views"]}
    paper = views["LPIPS"]["paper"]
    told = paper_values("streets", "LPIPS", PAPER_TABLES)
    assert dict(paper["rows"])[fakes_.METHODS.index("gesco")] == [
        [psnr, told["gesco", psnr].value] for psnr in fakes_.PSNRS
    ]
    assert (paper["same"], paper["substitute"]) == (False, False)
    assert views["FID[lite0]"]["paper"]["substitute"]
    assert views["bits"]["paper"] is None


def test_options_that_differ_by_data_set_are_shown_with_it() -> None:
    from bench.leaderboard.methods import about_result

    def options(guidance: float) -> dict[str, object]:
        return {"options": {"steps": 10, "guidance": guidance}}

    sets = {
        name: {"dataset": name, "scenes_used": 8, "methods": {"gesco": options(guidance)}}
        for name, guidance in (("streets", 2.0), ("stuff", 2.5))
    }
    frame = pd.DataFrame({"method": "gesco", "dataset": list(sets)})
    about = about_result("gesco", [SimpleNamespace(facts={"sets": sets}, frame=frame)])  # type: ignore[list-item]
    assert dict(about.options) == {"steps": "10", "guidance": "2.0 (streets), 2.5 (stuff)"}
    assert "one more than that of the GESCO paper's Eq. 13" in about.options_note


def test_shipped_weights_are_recognised_by_their_digest(tmp_path: Path) -> None:
    from bench.leaderboard.board import read_runs
    from bench.leaderboard.methods import about_result

    committed = read_runs([Path(__file__).parents[2] / "results"])
    about = about_result("gesco+fds", committed)  # not in the results: no weights are claimed
    assert about.weights == ()
    weights = about_result("gesco", committed).weights
    assert [one.dataset for one in weights] == ["streets", "stuff"]
    assert {one.licence for one in weights} <= {
        "Apache-2.0",
        None,
    }  # None where newer weights ship than made the committed results


def test_a_rebuilt_site_replaces_itself_and_nothing_else(results: Path, tmp_path: Path) -> None:
    out = tmp_path / "site"
    build_site([results], out, Config())
    first = {p.relative_to(out): p.read_bytes() for p in out.rglob("*") if p.is_file()}
    (out / "methods" / "stale.html").write_text("old")
    build_site([results], out, Config())
    assert {p.relative_to(out): p.read_bytes() for p in out.rglob("*") if p.is_file()} == first
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.tex").write_text("years")
    with pytest.raises(UsageError, match="is no site of ours"):
        build_site([results], mine, Config())
    assert [p.name for p in mine.iterdir()] == ["thesis.tex"]


def test_a_failed_build_leaves_the_old_site(results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "site"
    build_site([results], out, Config())
    before = (out / "index.html").read_bytes()

    def fail() -> str:
        raise BenchError("no bundle")

    monkeypatch.setattr(site_module, "vega_bundle", fail)
    with pytest.raises(BenchError, match="no bundle"):
        build_site([results], out, Config())
    assert (out / "index.html").read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["results", "site"]


def test_links_among_samples_are_not_published(results: Path, tmp_path: Path) -> None:
    fakes_.write_sample_set(results / "samples")
    (tmp_path / "secret").write_text("secret")
    (results / "samples" / "streets" / "link.webp").symlink_to(tmp_path / "secret")
    site = build_site([results], tmp_path / "site", Config()).parent
    assert (site / "samples" / "0" / "streets" / "000" / "original.webp").is_file()
    assert not (site / "samples" / "0" / "streets" / "link.webp").exists()


def test_damaged_samples_are_an_error_that_says_what_to_do(results: Path, tmp_path: Path) -> None:
    fakes_.write_sample_set(results / "samples")
    (results / "samples" / "index.json").write_text("[]")
    with pytest.raises(BenchError, match="bench leaderboard samples"):
        build_site([results], tmp_path / "site", Config())


def test_pages_and_addresses_of_methods_differ_where_their_names_do() -> None:
    names = ["gesco:steps=5", "gesco_steps=5", "Gesco_steps=5"]
    assert len({page.lower() for page in page_names(names).values()}) == 3
    ids = method_ids([*names, "gesco-nofds"])
    assert len(set(ids.values())) == 4
    assert ids["gesco-nofds"] == "gesco-nofds"
    assert max(map(len, ids.values())) < 12


def test_names_of_data_sets_do_no_harm_in_paths() -> None:
    keys = [("a", "x"), ("b", "x"), ("b", "y"), ("c", "x")]
    datasets = {"a": "../../x", "b": "streets", "c": "A B"}
    tracks = [SimpleNamespace(key=key, dataset=name) for key, name in datasets.items()]
    views = [SimpleNamespace(track=track, channel=channel) for track, channel in keys]
    names = set_names(SimpleNamespace(tracks=tracks, views=views))  # type: ignore[arg-type]
    assert names["b", "x"] == "streets"
    assert len(set(names.values())) == 4
    assert all(re.fullmatch(r"[a-z0-9~_-]+", name) for name in names.values())


def test_variants_have_a_methods_colour_and_differ_in_mark_and_dash() -> None:
    links = [f"gesco+digital:link={k}" for k in range(36)]
    look = looks(["spade", "gesco", "gesco+fds", "gesco-nofds", *links])
    assert len({tuple(one.items()) for one in look.values()}) == 40
    variants = [one for name, one in look.items() if name.startswith("gesco")]
    assert len({one["colour"] for one in variants}) == 1
    for before, after in itertools.pairwise(variants):
        assert before["mark"] != after["mark"]
        assert before["dash"] != after["dash"]


def test_methods_whose_colour_comes_again_look_otherwise() -> None:
    methods = [f"{letter}{variant}" for letter in "abcdefghijklmnop" for variant in ("", "+fds", "-nofds", ":steps=5")]
    assert len({tuple(one.items()) for one in looks(methods).values()}) == len(methods)


def test_the_commands_work_together(cli: Cli, fakes: Path, tmp_path: Path) -> None:
    ran = cli(
        "run",
        "--methods",
        "fake_maps,fake_pixels",
        "--psnr",
        "100,10",
        "--scenes",
        "6",
        "--metrics",
        "FakeMSE",
        "--out",
        "out",
    )
    assert ran.code == 0, ran.err
    made = cli("leaderboard", "samples", "--out", "out/samples", "--scenes", "2")
    assert made.code == 0, made.err
    index = json.loads(Path("out/samples/index.json").read_text())
    (one,) = index["sets"]
    assert [m["spec"] for m in one["methods"]] == ["fake_maps", "fake_pixels"]
    assert one["received"] == "fake_maps"
    folder = Path("out/samples", one["scenes"][1]["folder"])
    with (
        Image.open(folder / f"{one['methods'][1]['file']}.webp") as strip,
        Image.open(folder / "received.webp") as maps,
    ):
        assert strip.size == maps.size == (64, 2 * 32)
    built = cli("leaderboard", "build", "--out", "site")
    assert (built.code, built.out.strip()) == (0, "site/index.html"), built.err
    exported = cli("leaderboard", "export", "fake_maps", "--out", "mine.json", "--author", "Me", "--licence", "MIT")
    if exported.code == 0:
        assert "left out" not in exported.err  # the scores of a metric that is installed are declared
        assert "ok  mine" in cli("leaderboard", "check", "mine.json", "--results", "out").out
    else:
        assert "do not say at which commit" in exported.err  # the tests of a package without its repository


def test_commands_on_submissions(cli: Cli, fakes: Path) -> None:
    fakes_.write_run(Path("results"))
    fakes_.write_submission(Path("mine.json"), fakes_.submission())
    assert "ok  their-method: 9 results" in cli("leaderboard", "check", "mine.json").out
    added = cli("leaderboard", "add", "mine.json")
    assert "wrote results/submissions/their-method.json" in added.out
    assert "no bits" in added.out
    assert "ok  their-method" in cli("leaderboard", "check").out
    again = cli("leaderboard", "add", "mine.json")
    assert (again.code, again.err.count("\n")) == (2, 1)
    assert "another submission" in again.err
    data = fakes_.submission("worse")
    data["results"][0]["value"] = 7
    fakes_.shelve(Path("results/submissions/worse.json"), data)
    checked = cli("leaderboard", "check")
    assert checked.code == 1
    assert "$.results[0].value: 7 is impossible for mIoU" in checked.err
    assert json.loads(cli("leaderboard", "schema").out)["title"].startswith("gesco-bench submission")


def test_without_results_the_message_says_what_to_run(cli: Cli, fakes: Path) -> None:
    failed = cli("leaderboard", "build", "--results", "nowhere", "--out", "site")
    assert failed.code == 2
    assert "bench run" in failed.err
    assert not Path("site").exists()
    shutil.rmtree("nowhere", ignore_errors=True)
