"""The site in a browser, opened from disk: filters, sorting, slider, links, keys, contrast, nothing from outside."""

from __future__ import annotations

import csv
import itertools
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import leaderboard_fakes as fakes_
import pytest
from scipy import stats

from bench.config import Config
from bench.leaderboard.site import build_site

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (the extra `test` has it)")

#: A browser on the path; without one playwright's own, where that is installed.
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
#: Milliseconds until playwright gives up on what will never be: no test is about speed.
PATIENCE = 600_000
EVIL = "<img src=x onerror=alert(1)>"
MINUS = "\N{MINUS SIGN}"
THEIRS = "their-method · Zoë O'Author"
Open = Callable[..., Any]

#: Luminance and contrast as WCAG 2 defines them, for colours [r, g, b] of 0..255.
WCAG = """
const linear = (v) => { v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; };
const light = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
const contrast = (a, b) => (Math.max(light(a), light(b)) + 0.05) / (Math.min(light(a), light(b)) + 0.05);
"""
#: Every visible text against what is behind it, as computed by the browser: those below WCAG AA.
TEXTS = f"""() => {{ {WCAG}
const parse = (c) => {{ const m = c.match(/[\\d.]+/g).map(Number); return m.length < 4 ? [...m, 1] : m; }};
const over = (a, b) => [0, 1, 2].map((k) => a[k] * a[3] + b[k] * (1 - a[3]));
const behind = (element) => {{
  const layers = [];
  for (let e = element; e; e = e.parentElement) {{
    const colour = parse(getComputedStyle(e).backgroundColor);
    if (colour[3]) layers.push(colour);
    if (colour[3] === 1) break;
  }}
  return layers.reverse().reduce((below, layer) => over(layer, below), [255, 255, 255]);
}};
const found = [];
let checked = 0;
for (const e of document.body.querySelectorAll("*")) {{
  const text = [...e.childNodes].filter((n) => n.nodeType === 3).map((n) => n.textContent.trim()).join("");
  if (!text || !e.checkVisibility() || e.closest(".sr, noscript, script, option")) continue;
  const style = getComputedStyle(e), size = parseFloat(style.fontSize), bold = Number(style.fontWeight) >= 700;
  const back = behind(e), fore = over(parse(e instanceof SVGElement ? style.fill : style.color), back);
  const ratio = contrast(fore, back), needed = size >= 24 || (bold && size >= 18.66) ? 3 : 4.5;
  checked += 1;
  if (ratio < needed) found.push([ratio.toFixed(2), needed, text.slice(0, 40)]);
}}
return {{ found, checked }};
}}"""
#: Curves and borders of controls against the surface: 3 is WCAG's for what is no text.
GRAPHICS = f"""() => {{ {WCAG}
const style = getComputedStyle(document.documentElement);
const rgb = (name) => style.getPropertyValue(name).trim().match(/[0-9a-f]{{2}}/gi).map((h) => parseInt(h, 16));
const names = [...Array(8).keys()].map((k) => `--curve-${{k}}`);
return [...names, "--edge", "--accent"].map((name) => contrast(rgb(name), rgb("--surface")));
}}"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site of a small run with samples and one submission with a hostile title."""
    folder = tmp_path_factory.mktemp("browser")
    results = fakes_.write_run(folder / "results")
    data = fakes_.submission(title=EVIL, authors=["Zoë O'Author"])
    fakes_.shelve(results / "submissions" / "their-method.json", data)
    fakes_.write_sample_set(results / "samples")
    return build_site([results], folder / "site", Config()).parent


@pytest.fixture(scope="module")
def budgets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site of results with channel uses."""
    folder = tmp_path_factory.mktemp("budgets")
    return build_site([fakes_.write_budget_run(folder / "results")], folder / "site", Config()).parent


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        try:
            launched = started.chromium.launch(executable_path=BROWSER, args=["--disable-gpu"], timeout=PATIENCE)
        except playwright.Error as error:  # none installed, or a stub in its place
            pytest.skip(f"no Chromium or Chrome that starts: {str(error).splitlines()[0]}")
        yield launched
        launched.close()


@pytest.fixture
def open_page(browser: Any, site: Path) -> Iterator[Open]:
    """Opens a page from disk; afterwards nothing may have been asked of the network or complained of on the console."""
    trouble: list[str] = []
    opened: list[Any] = []

    def call(address: str, width: int = 1440, theme: str = "light", folder: Path = site) -> Any:
        page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=theme)
        page.set_default_timeout(PATIENCE)
        page.on("console", lambda message: trouble.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: trouble.append(f"error: {error}"))
        page.on("dialog", lambda dialog: trouble.append(f"dialog: {dialog.message}"))
        page.on("request", lambda r: re.match("(file|data|blob):", r.url) or trouble.append(f"request: {r.url}"))
        page.on("requestfailed", lambda r: trouble.append(f"failed: {r.url}"))
        page.goto(f"{folder.as_uri()}/{address}")
        if address.startswith(("index", "compare")) or (address.startswith("budget") and folder != site):
            page.wait_for_selector("#chart[data-curves]")
        opened.append(page)
        return page

    yield call
    for page in opened:
        page.close()
    assert trouble == []


def until(page: Any, condition: str) -> None:
    """Waits for a condition; `wait_for_function` makes code of text, which the pages forbid."""
    look = f"const look = () => ({condition}) ? done() : setTimeout(look, 20);"
    page.evaluate(f"() => new Promise((done, failed) => {{ {look} look(); setTimeout(failed, {PATIENCE}); }})")


def methods(page: Any) -> list[str]:
    return page.locator("#ranking tbody th .sub").all_inner_texts()


def cells(page: Any, selector: str) -> list[str]:
    return page.locator(f"#ranking tbody {selector}").all_inner_texts()


def address(page: Any) -> str:
    """What the browser's address bar has; `page.url` hears of it a little later."""
    return str(page.evaluate("location.href"))


def title(page: Any) -> str:
    return page.locator("#ranking-title").inner_text()


def test_the_ranking_is_sorted_and_filters_change_it(open_page: Open) -> None:
    page = open_page("index.html")
    assert methods(page)[0] == THEIRS
    assert title(page) == "mIoU ↑ at 10 dB"
    values = [float(v) for v in cells(page, "td.chosen")]
    assert len(values) == 5
    assert values == sorted(values, reverse=True)
    assert cells(page, "td.rank span[aria-hidden]")[0] == "1"
    page.select_option("#metric", "LPIPS")
    assert title(page) == "LPIPS ↓ at 10 dB"
    values = [float(v) for v in cells(page, "td.chosen") if v != "noise"]
    assert values == sorted(values)
    page.get_by_role("radio", name="1", exact=True).check()
    assert title(page) == "LPIPS ↓ at 1 dB"
    assert "noise" in cells(page, "td.chosen")
    assert "peak SNR 0.9 dB" in page.locator("#status").inner_text()
    page.fill("#search", "zoe")
    assert methods(page) == [THEIRS]
    assert "1 of 5 methods" in page.locator("#status").inner_text()
    page.fill("#search", "nothing like it")
    assert "No method matches" in page.locator("#ranking tbody").inner_text()
    page.wait_for_selector("#chart[data-curves='0']")


def test_headers_sort_both_ways_and_say_so(open_page: Open) -> None:
    page = open_page("index.html")
    header = page.locator("#ranking thead th.method")
    assert header.get_attribute("aria-sort") is None
    page.click("#th-name")
    titles = [t for t in page.locator("#ranking tbody th a").all_inner_texts() if t != EVIL]
    assert titles == sorted(titles, key=str.lower)
    assert header.get_attribute("aria-sort") == "ascending"
    page.click("#th-name")
    assert header.get_attribute("aria-sort") == "descending"
    assert page.evaluate("document.activeElement.id") == "th-name"
    page.click("#th-seconds")
    seconds = [float(v) for v in cells(page, "tr td:last-child")[:4]]  # the submission has none, so it is last
    assert seconds == sorted(seconds)
    assert methods(page)[-1] == THEIRS
    assert page.locator("#ranking [aria-sort]").count() == 1


def test_equal_ranks_are_written_as_shared(open_page: Open) -> None:
    page = open_page("index.html#m=mIoU&psnr=10&q=gesco")
    assert cells(page, "td.rank .sr") == ["rank 2, shared", "rank 2, shared"]
    tied = open_page("index.html#m=bits&psnr=100")
    assert "1=" in cells(tied, "td.rank span[aria-hidden]")
    assert "rank 1, shared" in cells(tied, "td.rank .sr")


def test_columns_are_chosen_and_kept_in_the_link(open_page: Open) -> None:
    page = open_page("index.html")
    assert [name.split("\n")[0] for name in page.locator("#ranking thead th").all_inner_texts()[4:]] == [
        "95 % interval", "100 dB", "1 dB", "bits ↓", "seconds ↓",
    ]  # fmt: skip
    page.get_by_text("Choose columns").click()
    page.get_by_label("LPIPS ↓").check()
    page.get_by_label("seconds ↓").uncheck()
    assert "LPIPS ↓" in page.locator("#ranking thead").inner_text()
    assert "cols=" in address(page)
    again = open_page(address(page).rpartition("/")[2])
    assert again.locator("#ranking").inner_text() == page.locator("#ranking").inner_text()
    assert "seconds" not in again.locator("#ranking thead").inner_text()


def test_what_is_shown_is_saved_as_csv(open_page: Open) -> None:
    page = open_page("index.html#q=gesco")
    with page.expect_download() as download:
        page.click("#csv")
    with Path(download.value.path()).open() as file:
        rows = list(csv.DictReader(file))
    assert download.value.suggested_filename == "streets-mIoU-10dB.csv"
    assert [row["method"] for row in rows] == methods(page)
    assert [f"{float(row['mIoU at 10 dB']):.3f}" for row in rows] == cells(page, "td.chosen")
    assert set(rows[0]) >= {"rank", "low", "high", "mIoU at 100 dB", "bits at 10 dB"}


def test_a_table_that_is_wider_than_the_page_says_so(open_page: Open) -> None:
    page = open_page("index.html#cols=metric", width=390)
    hint = page.get_by_text("The table goes on")
    assert hint.is_visible()
    scroll = page.locator(".scroll")
    assert scroll.evaluate("e => e.className") == "scroll cut-right"
    scroll.evaluate("e => { e.scrollLeft = e.scrollWidth; }")
    until(page, "document.querySelector('.scroll').className === 'scroll cut-left'")


def test_metrics_stand_in_groups(open_page: Open) -> None:
    page = open_page("index.html")
    groups = page.locator("#metric optgroup").evaluate_all("all => all.map((g) => [g.label, g.textContent])")
    assert groups == [
        ["Segmentation", "mIoU"], ["Perception", "LPIPS"], ["Distribution", "FID[lite0]"], ["Cost", "bitsseconds"],
    ]  # fmt: skip


def test_two_methods_are_compared_scene_by_scene(open_page: Open) -> None:
    page = open_page("compare.html#m=LPIPS&a=gesco-nofds&b=spade")
    numbers = [fakes_.METHODS.index(name) for name in ("gesco-nofds", "spade")]
    own, other = (fakes_.value_of("LPIPS", number, 10.0, 12) for number in numbers)
    half = stats.t.ppf(0.975, 11) * (own - other).std(ddof=1) / 12**0.5
    mean = (own - other).mean()
    texts = [f"{x:+.3f}".replace("-", MINUS) for x in (mean, mean - half, mean + half)]
    row = page.locator("#numbers tbody tr").nth(1).locator("th, td").all_inner_texts()
    assert row[0] == "10"
    assert row[3:] == [texts[0], f"{texts[1]} to {texts[2]}", "A is better"]
    furthest = int((own - other).argmin())  # less LPIPS is better
    assert page.locator("#for-a tbody th").first.inner_text() == f"s{furthest:04d}"
    assert f"A is better in {(own < other).sum()}" in page.locator("#scenes-note").inner_text()
    until(page, "document.querySelectorAll('#pairs figure').length === 9")
    gaps = [abs(float(text.split("= ")[1].replace(MINUS, "-"))) for text in page.locator("#pairs h3").all_inner_texts()]
    assert gaps == sorted(gaps, reverse=True)
    page.click("#swap")
    until(page, "document.querySelector('#numbers tbody tr:nth-child(2) td:last-child').textContent === 'B is better'")
    assert "a=spade" in address(page)
    odd = open_page(f"compare.html#a={EVIL}&b=__proto__&m=x&psnr=y")
    assert odd.locator("#compare-title").inner_text().startswith("mIoU: ")
    assert odd.locator("img[src=x]").count() == 0


def test_mean_ranks_are_over_what_is_chosen(open_page: Open) -> None:
    page = open_page("overall.html")
    ranks = "#numbers tbody td.chosen"
    page.wait_for_selector(ranks)
    assert page.locator("#overall-title").inner_text() == "Mean rank over 9 columns"  # three metrics at three PSNRs
    assert page.locator("#numbers tbody th .sub").first.inner_text() == "their-method"
    found = [float(text) for text in page.locator(ranks).all_inner_texts()]
    assert found == sorted(found)
    assert sum(found) == pytest.approx(5 * 3, abs=0.03)  # places 1 to 5
    page.get_by_label("LPIPS").uncheck()
    page.get_by_label("FID[lite0]").uncheck()
    until(page, "document.getElementById('overall-title').textContent === 'Mean rank over 3 columns'")
    for name in ("100", "1"):
        page.get_by_label(name, exact=True).uncheck()
    until(page, "document.getElementById('overall-title').textContent === 'Mean rank over 1 columns'")
    assert page.locator(ranks).all_inner_texts() == ["1.00", "2.00", "3.00", "4.00", "5.00"]
    again = open_page(address(page).rpartition("/")[2])
    again.wait_for_selector(ranks)
    assert again.locator("#numbers").inner_text() == page.locator("#numbers").inner_text()


def test_curves_follow_filters_and_boxes(open_page: Open) -> None:
    page = open_page("index.html")
    assert page.locator("#chart").get_attribute("data-curves") == "5"
    assert page.locator("#chart [aria-label^='mIoU against the channel']").count() == 1
    page.select_option("#metric", "LPIPS")
    page.wait_for_selector("#chart [aria-label^='LPIPS against the channel']")
    page.get_by_label("SPADE in the chart").uncheck()
    page.wait_for_selector("#chart[data-curves='4']")
    assert "SPADE" not in (page.locator("#chart [aria-label^='LPIPS against']").get_attribute("aria-label") or "")
    assert "show=" in address(page)
    page.fill("#search", "gesco")
    page.wait_for_selector("#chart [aria-label*='GESCO']:not([aria-label*='Full image'])[aria-label^='LPIPS']")
    page.click("#reset")
    page.fill("#search", "")
    page.wait_for_selector("#chart[data-curves='5']")
    assert "show=" not in address(page)


def test_a_link_opens_the_same_view_and_nonsense_in_it_does_no_harm(open_page: Open) -> None:
    page = open_page("index.html")
    page.select_option("#metric", "FID[lite0]")
    page.get_by_role("radio", name="All metrics").check()
    page.fill("#search", "gesco")
    page.click("#th-seconds")
    again = open_page(address(page).rpartition("/")[2])
    assert again.locator("#ranking").inner_text() == page.locator("#ranking").inner_text()
    assert again.input_value("#search") == "gesco"
    assert title(again) == "FID[lite0] ↓ at 10 dB"
    nonsense = f"m={EVIL}&psnr=NaN&set=__proto__&sort=-x&q={EVIL}&cols=7&show=constructor,gesco"
    odd = open_page(f"index.html#{nonsense}")
    assert title(odd) == "mIoU ↑ at 10 dB"
    assert odd.locator("img[src=x]").count() == 0


def test_hostile_text_is_text(open_page: Open) -> None:
    page = open_page("index.html")
    assert EVIL in page.locator("#ranking tbody th a").all_inner_texts()
    page.hover("#chart .mark-symbol path >> nth=0")
    page.wait_for_selector("#vg-tooltip-element.visible")
    assert EVIL in page.locator("#vg-tooltip-element").inner_text()
    assert page.locator("img[src=x]").count() == 0
    page = open_page("methods/their-method.html")
    assert page.locator("h1").inner_text() == EVIL
    assert "this project has not measured them" in page.locator(".notice").inner_text()


def test_the_slider_moves_all_methods_through_the_psnrs(open_page: Open) -> None:
    page = open_page("samples.html")
    shown = """() => new Set([...document.querySelectorAll("#pictures .frame")].map((frame) => {
      const strip = frame.querySelector("img").getBoundingClientRect();
      return Math.round(3 * (frame.getBoundingClientRect().top - strip.top) / strip.height); }))"""
    position = f"() => [...({shown})()].join()"
    slider = page.get_by_role("slider")
    until(page, "[...document.querySelectorAll('#pictures img')].every((image) => image.complete)")
    assert slider.get_attribute("aria-valuetext") == "10 dB (peak SNR 8.9 dB)"
    assert page.evaluate(position) == "1"
    slider.focus()
    page.keyboard.press("ArrowRight")
    assert slider.get_attribute("aria-valuetext") == "100 dB (peak SNR ∞ dB)"
    assert page.evaluate(position) == "0"
    page.keyboard.press("Home")
    assert slider.get_attribute("aria-valuetext") == "1 dB (peak SNR 0.9 dB)"
    assert page.evaluate(position) == "2"
    assert "psnr=1" in address(page)
    assert page.locator("#pictures figure").count() == 4
    assert page.locator("#truth figure").count() == 3


def test_layers_scenes_and_links_of_the_samples(open_page: Open) -> None:
    page = open_page("samples.html#psnr=100")
    page.get_by_role("radio", name="Detections").check()
    assert page.locator("#pictures .frame img").count() == 8
    page.get_by_role("radio", name="Depth").check()
    assert (page.locator("#pictures img").first.get_attribute("src") or "").endswith(".depth.webp")
    page.locator("#scenes button").nth(2).click()
    assert page.locator("#scene-title").inner_text() == "Scene s0002"
    assert page.locator("#scenes button").nth(2).get_attribute("aria-pressed") == "true"
    page.fill("#search", "gesco")
    again = open_page(address(page).rpartition("/")[2])
    assert again.locator("#scene-title").inner_text() == "Scene s0002"
    assert again.locator("#pictures figcaption .sub").all_inner_texts() == ["gesco", "gesco-nofds"]
    first = again.locator("#pictures img").first
    assert first.evaluate("image => image.decode().then(() => image.naturalWidth)") == 128


def test_keys_reach_everything_in_order_and_the_focus_is_seen(open_page: Open) -> None:
    page = open_page("index.html")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    focused = """() => { const e = document.activeElement;
      const seen = getComputedStyle(e.matches(".segments input") ? e.nextElementSibling : e).outlineStyle !== "none";
      return [e.id || e.name || e.tagName, seen]; }"""
    reached = []
    while (stop := page.evaluate(focused)) and not stop[0].startswith("pick-"):
        assert stop[1], stop[0]
        reached.append(stop[0])
        page.keyboard.press("Tab")
    wanted = ["theme", "metric", "psnr-of-ranking", "search", "columns", "copy", "th-name"]
    assert [name for name in reached if name in wanted] == wanted
    page.locator("#psnr input:checked").focus()
    page.keyboard.press("ArrowRight")
    assert title(page) == "mIoU ↑ at 1 dB"
    assert page.evaluate("document.activeElement.name") == "psnr-of-ranking"


#: An address of each page.
EVERY_PAGE = (
    "index.html#cols=metric", "overall.html", "compare.html#m=LPIPS", "budget.html", "samples.html", "methods.html",
    "methods/their-method.html", "data.html",
)  # fmt: skip


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_on_any_page(open_page: Open, budgets: Path, theme: str) -> None:
    axe = pytest.importorskip("axe_playwright_python", reason="the extra `test` has axe-playwright-python")
    script = (Path(str(axe.__file__)).parent / "axe.min.js").read_text()
    found = []
    pages = [open_page(path, theme=theme) for path in EVERY_PAGE]
    for page in (*pages, open_page("budget.html", theme=theme, folder=budgets)):
        for width in (1440, 390):
            page.set_viewport_size({"width": width, "height": 900})
            page.evaluate(script)
            told = page.evaluate("() => axe.run({ preload: false })")  # what it would fetch, the pages forbid
            nodes = [(one["id"], node["target"]) for one in told["violations"] for node in one["nodes"]]
            found += [(page.url, width, *node) for node in nodes]
            assert len(told["passes"]) > 20
    assert found == []


def check_structure(page: Any) -> None:
    """What a screen reader goes by: language, one main part and heading, levels in order, names of everything."""
    assert page.locator("html").get_attribute("lang") == "en"
    assert page.get_by_role("main").count() == page.locator("h1").count() == 1
    levels = page.locator("h1,h2,h3").evaluate_all("all => all.map((h) => Number(h.tagName[1]))")
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    assert page.locator("img:not([alt]), th:not([scope])").count() == 0
    for role in ("button", "combobox", "searchbox", "slider", "checkbox", "radio", "region"):
        assert page.get_by_role(role).count() == page.get_by_role(role, name=re.compile(r"\S")).count(), role


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_page_has_contrast_and_structure_and_fits_a_telephone(open_page: Open, theme: str) -> None:
    for path in EVERY_PAGE:
        page = open_page(path, theme=theme)
        check_structure(page)
        result = page.evaluate(TEXTS)
        assert result["found"] == [], path
        assert result["checked"] > 12
        assert min(page.evaluate(GRAPHICS)) >= 3
        page.set_viewport_size({"width": 390, "height": 844})
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, path
        low = "all => all.filter((e) => e.checkVisibility() && e.getBoundingClientRect().height < 24).length"
        assert page.locator("button.quiet, select, input[type=search]").evaluate_all(low) == 0


def marks(page: Any) -> Any:
    """The points of the budget chart."""
    return page.locator("#chart path[aria-roledescription=point]")


def sent(page: Any) -> list[str]:
    return page.locator("#numbers tbody th").all_inner_texts()


def test_quality_stands_against_uses_and_a_slider_moves_through_the_psnrs(open_page: Open, budgets: Path) -> None:
    page = open_page("budget.html", folder=budgets)
    assert page.locator("#budget-title").inner_text() == "mIoU against channel uses at 10 dB"
    assert sent(page) == sorted(fakes_.SENT, key=lambda name: fakes_.SENT[name])
    assert marks(page).count() == 6
    assert page.locator("#chart .mark-line path").count() == 3 + 1  # an envelope for each way of sending, the frontier
    spoken = [label for label in marks(page).evaluate_all("all => all.map((e) => e.ariaLabel)") if "adaptive" in label]
    assert spoken[0].startswith("oasis+digital:link=adaptive, adaptive link: mIoU 0.")
    assert "2,500 uses" in spoken[0]
    slider = page.get_by_role("slider", name="PSNR of the channel")
    slider.focus()
    page.keyboard.press("Home")
    assert slider.get_attribute("aria-valuetext") == "1 dB (peak SNR 0.9 dB)"
    page.wait_for_selector("#chart path[aria-label*=adaptive][aria-label*='5,000 uses']")
    row = page.locator("#numbers tbody tr", has_text="link=qpsk").inner_text()
    assert "25.0 %" in row
    assert "0.1017" in row  # 5,000 uses over 2 x 3 x 64 x 128
    page.select_option("#metric", "LPIPS")
    page.wait_for_selector("#chart [aria-label^='LPIPS against channel uses at 1 dB']")
    page.select_option("#channel", label="AWGN, paper calibration, average power")
    assert "average power" in page.locator("#note").inner_text()
    page.fill("#search", "webp")
    page.wait_for_selector("#chart[data-curves='2']")
    again = open_page(address(page).rpartition("/")[2], folder=budgets)
    assert again.locator("#numbers").inner_text() == page.locator("#numbers").inner_text()
    odd = open_page(f"budget.html#m={EVIL}&psnr=NaN&set=__proto__&x=7&q={EVIL}", folder=budgets)
    assert odd.locator("img[src=x]").count() == 0
    assert odd.locator("#chart").get_attribute("data-curves") == "0"


def test_adaptive_links_are_hollow_and_no_part_of_an_envelope(open_page: Open, budgets: Path) -> None:
    page = open_page("budget.html", folder=budgets)
    found = marks(page).evaluate_all(
        """all => Object.fromEntries(all.map((mark) =>
             [mark.ariaLabel.split(",")[0], [mark.getAttribute("fill"), mark.getAttribute("fill-opacity")]]))"""
    )
    surface = page.evaluate("getComputedStyle(document.documentElement).getPropertyValue('--surface').trim()")
    assert {name for name, (fill, _) in found.items() if fill == surface} == {"oasis+digital:link=adaptive"}
    assert {name for name, (_, opacity) in found.items() if float(opacity) < 1} == {"oasis"}


def test_keys_go_through_the_marks_and_name_them(open_page: Open, budgets: Path) -> None:
    page = open_page("budget.html", folder=budgets)
    named = page.locator("#named")
    assert page.locator("#chart path[tabindex='0']").count() == 1  # one stop for Tab
    page.locator("#copy").focus()
    page.keyboard.press("Tab")
    assert named.inner_text().startswith("oasis+digital:link=16qam@1/2, fixed link: mIoU 0.")
    page.keyboard.press("ArrowRight")
    assert named.inner_text().startswith("oasis+digital:link=adaptive")
    page.keyboard.press("End")
    assert named.inner_text().startswith("oasis, analogue")
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
    page.keyboard.press("Home")
    assert "2,000 uses" in named.inner_text()
    marks(page).last.hover()
    page.wait_for_selector("#vg-tooltip-element.visible")
    assert "Bandwidth ratio" in page.locator("#vg-tooltip-element").inner_text()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_budget_page_has_contrast_and_structure_and_fits_a_telephone(
    open_page: Open, budgets: Path, theme: str
) -> None:
    page = open_page("budget.html", theme=theme, folder=budgets)
    check_structure(page)
    assert page.evaluate(TEXTS)["found"] == []
    page.set_viewport_size({"width": 390, "height": 844})
    until(page, "document.querySelector('#chart svg')?.clientWidth <= 390")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.evaluate(TEXTS)["found"] == []


def test_the_theme_is_kept_and_redraws_the_chart(open_page: Open) -> None:
    page = open_page("index.html")
    background = "getComputedStyle(document.body).backgroundColor"
    fill = "document.querySelector('#chart svg .mark-text text').getAttribute('fill')"
    light, text = page.evaluate(background), page.evaluate(fill)
    page.get_by_role("button", name="Dark theme").click()
    until(page, f"{fill} !== '{text}'")
    assert page.evaluate(background) != light
    page.goto(address(page).partition("index.html")[0] + "data.html")
    assert page.locator("html").get_attribute("data-theme") == "dark"
    page.get_by_role("button", name="Light theme").click()
    assert page.evaluate(background) == light


def test_fifty_methods_and_five_hundred_scenes(open_page: Open, tmp_path: Path) -> None:
    """Light enough to load, with only the pictures that are looked at."""
    names = tuple(f"method_{k:02d}" for k in range(50))
    results = fakes_.write_run(tmp_path / "results", names, 500, ("mIoU", "LPIPS"))
    fakes_.write_sample_set(results / "samples", names, 500, seen=False)
    site = build_site([results], tmp_path / "site", Config()).parent
    loaded = [
        site / "index.html",
        *(site / "assets").iterdir(),
        *(site / "load").glob("*.js"),
        *(site / "load" / "sets").glob("*.js"),
    ]
    assert sum(file.stat().st_size for file in loaded) < 3e6
    page = open_page("index.html", folder=site)
    assert page.locator("#ranking tbody tr").count() == 50
    page.fill("#search", "method_1")
    assert page.locator("#ranking tbody tr").count() == 10
    page = open_page("samples.html", folder=site)
    assert page.locator("#scenes button").count() == 500
    assert page.locator("#pictures figure").count() == 50
    images = "[...document.images].filter((image) => image.complete && image.naturalWidth).length"
    until(page, f"{images} > 20")
    assert page.evaluate(images) < 250
