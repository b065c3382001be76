"""The blocks of results/camvid/README.md: real photographs, and whether the order of methods holds on them."""

from __future__ import annotations

from functools import cache, partial
from typing import TYPE_CHECKING

from bench.api.names import shipped_spec
from bench.results.schema import WHOLE_SET
from bench.results.tidy import unfolded
from results.readme.agreement import agreement
from results.readme.blocks import Block, listed, markdown_table, registered
from results.readme.links_page import AWGN, measured_on
from results.readme.numbers import (
    PSNRS,
    RESULTS,
    Untrue,
    ceiling,
    claim,
    column,
    costs,
    fact,
    markdown,
    rows_of,
    scenes,
    seen_by,
)

if TYPE_CHECKING:
    from pathlib import Path

    from bench.results.scores import Score
    from results.readme.agreement import Agreement

#: The data set, and the folder of its results.
CAMVID = "camvid"
CARDS = RESULTS / CAMVID / "weights" / "own"
METRICS = ("mIoU", "LPIPS", "FID[lite0]")
#: What the ids of the one drive begin with that both splits have.
DRIVE = "0016E5"
BLOCKS: dict[str, Block] = {}


block = partial(registered, BLOCKS)


@cache
def photographs(metric: str, psnr: float) -> dict[str, Score]:
    """The methods' scores on the photographs, by the names that they have on `streets`."""
    return _plain(column(metric, psnr, CAMVID, CAMVID))


def _plain(scores: dict[str, Score]) -> dict[str, Score]:
    """Scores by the names of methods without whose weights they had."""
    return {shipped_spec(spec): score for spec, score in scores.items()}


@cache
def rendered(metric: str, psnr: float) -> dict[str, Score]:
    """The same on `streets`: the analogue ones of the main results, the others of the links'."""
    links = {method: score for (method, p), score in measured_on(metric, AWGN).items() if p == psnr}
    return {**links, **column(metric, psnr)}


@cache
def held(metric: str, psnr: float, digital: bool = False) -> Agreement:
    """How far the order on `streets` holds on the photographs, of the methods with a link or of those without."""
    one, two = (
        {name: score for name, score in scores(metric, psnr).items() if ("+digital" in name) == digital}
        for scores in (rendered, photographs)
    )
    return agreement(one, two, paired=False)


def compared(digital: bool = False) -> list[str]:
    """The methods that both data sets have."""
    return [
        name for name in photographs("mIoU", 10) if name in rendered("mIoU", 10) and ("+digital" in name) == digital
    ]


def mean(metric: str, method: str, psnr: float = 100) -> float:
    """A method's score on the photographs."""
    found = photographs(metric, psnr).get(method)
    if found is None:
        raise Untrue(f"the photographs' results have no {metric} of {method} at {psnr:g} dB")
    return found.value


def _cards() -> dict[str, Path]:
    """Network -> its card, the segmenter first."""
    found = sorted(CARDS.glob("*.md"), key=lambda path: (not path.stem.endswith("_judge"), path.name))
    claim(len(found) == 6, "there are cards of five methods and of the segmenter")
    return {"segmenter" if path.stem.endswith("_judge") else path.stem.split("-")[0]: path for path in found}


def seen() -> int:
    """How many pictures each generator saw."""
    return seen_by((card for name, card in _cards().items() if name != "segmenter"), f"generators on {CAMVID}")


@block("scale")
def scale() -> str:
    photos = int(fact(_cards()["segmenter"], r"train, (\d+) scenes"))
    return f"""CamVid at 96×128: {photos} photographs to train on, {scenes("mIoU", CAMVID, CAMVID)} of `val` to measure on, 11 classes. Every generator saw {seen():,} pictures in training,
crops and mirrored ones of those {photos}. The segmenter learned from the same {photos}; it gives the originals {ceiling("mIoU", CAMVID, CAMVID):.3f}. One training a method, so ± and ranks know of
scenes alone."""


def in_short() -> str:
    """What README says of it."""
    value, known = partial(mean, "mIoU"), rendered("mIoU", 100)
    claim(
        known["sdm"].value > known["spade"].value > known["gesco"].value,
        "on streets SDM, SPADE, GESCO follow each other",
    )
    claim(value("spade") > value("gesco") > value("sdm"), "on photographs SPADE, GESCO, SDM follow each other")
    return f"""GESCO keeps {value("gesco", 10) / value("gesco"):.0%} of its clean mIoU at 10 dB, but the clean order is another: SDM, first on rendered scenes, is behind GESCO and the GANs after as
many pictures of photographs""".replace("%", " %")


@block("what it shows")
def what_it_shows() -> str:
    value = partial(mean, "mIoU")
    noisy = {name: value(name, 10) for name in compared() if name != "full_image"}
    robust = {name for name in noisy if name.startswith("gesco")}
    best = max(noisy.keys() - robust, key=noisy.__getitem__)
    claim(
        min(noisy[name] for name in robust) > noisy[best],
        "at 10 dB all that is trained on noise is ahead of all that is not",
    )
    clean = {name: value(name) for name in ("oasis", "spade", "gesco", "sdm")}
    claim(
        list(clean) == sorted(clean, key=clean.__getitem__, reverse=True),
        "on a clean channel OASIS, SPADE, GESCO, SDM follow each other",
    )
    on_streets = {name: rendered("mIoU", 100)[name].value for name in clean}
    claim(
        max(on_streets, key=on_streets.__getitem__) == "sdm" and min(on_streets, key=on_streets.__getitem__) == "gesco",
        "on streets SDM is the best, GESCO the last",
    )
    gained = {name: own - new for name, (own, new) in known_and_new().items()}
    claim(max(gained.values()) < 0, "nothing is better on photographs that it was trained on")
    claim(gained["sdm"] < min(gained["spade"], gained["oasis"]), "SDM loses more than the GANs there")
    ways = {metric: _plain(column(metric, 100, f"{CAMVID}/sampling", CAMVID)) for metric in ("mIoU", "LPIPS")}
    of_sdm = {
        spec: ways["mIoU"][f"sdm:{spec}"].value for spec in ("guidance=1.0", "guidance=2.0", "guidance=3.0", "steps=25")
    }
    claim(
        max(of_sdm.values()) < min(value(name) for name in ("spade", "oasis")),
        "no way of sampling SDM reaches the GANs",
    )
    claim(
        min(ways["LPIPS"][f"sdm:{spec}"].value for spec in of_sdm) > ways["LPIPS"]["sdm"].value,
        "LPIPS gets no better by it",
    )
    equal = (
        ways["mIoU"]["gesco-nofds:guidance=1.5"].value - value("sdm"),
        value("gesco-nofds") - of_sdm["guidance=2.0"],
    )
    claim(min(equal) > 0.01, "the network that was trained on noise is ahead at equal guidance")
    picture = "full_image+digital:codec=webp:uses=24600"
    drawn = max(value(name, 10) for name in compared(digital=True) if not name.startswith("full_image"))
    claim(value(picture, 10) > drawn, "a picture of 24,600 uses has more than any map")
    uses = _plain(costs("channel_uses", CAMVID, CAMVID))
    taus = {psnr: held("mIoU", psnr).tau for psnr in (100, 10, 1)}
    said = ", ".join(f"{name} {number:.3f} ({on_streets[name]:.3f})" for name, number in clean.items())
    return f"""- **GESCO's robustness is there on photographs, and clearer than on rendered scenes.** At 10 dB `gesco` has mIoU {value("gesco", 10):.3f} of its {value("gesco"):.3f} on a clean channel, `gesco_fdstrain`
{value("gesco_fdstrain", 10):.3f} of {value("gesco_fdstrain"):.3f}; the best that never trained on noise, `{best}`, has {noisy[best]:.3f}. On `streets` `oasis+fds` was level with `gesco` there.
- **The order on a clean channel does not hold.** mIoU, on `streets` in parentheses: {said}. The diffusion model that is first on rendered scenes is last here. Kendall's tau at 100, 10 and
1 dB is {taus[100]:.2f}, {taus[10]:.2f} and {taus[1]:.2f}, of FID[lite0] only {held("FID[lite0]", 100).tau:.2f}, {held("FID[lite0]", 10).tau:.2f} and {held("FID[lite0]", 1).tau:.2f}; [all of it](#does-the-order-on-rendered-scenes-hold).
- **Why? Not by heart, and sampling is a part.** On photographs of the same drive that it was trained on `sdm` is lower by {-gained["sdm"]:.3f} (a mean over scenes), the GANs by
{-gained["oasis"]:.3f} and {-gained["spade"]:.3f}, [the originals by {-gained["full_image"]:.3f}](#known-photographs-and-new-ones): nothing is repeated. Guidance 2 and 3 instead of SDM's 1.5 give it
{of_sdm["guidance=2.0"]:.3f} and {of_sdm["guidance=3.0"]:.3f}, none {of_sdm["guidance=1.0"]:.3f}, 25 steps {of_sdm["steps=25"]:.3f}, all at a worse LPIPS and below the GANs. What remains is the training: {seen():,} pictures, where `streets` had 28,000, for a
network that needs more of them than a GAN. That is not tested.
- **Noise on the maps helps even where the channel has none.** `gesco-nofds` is the network of `sdm` but for the noise that it was trained on. At equal guidance (1.5 and 2) it is ahead by
{equal[0]:.3f} and {equal[1]:.3f}; on `streets`, each with its own guidance, it has {rendered("mIoU", 100)["gesco-nofds"].value:.3f} against {on_streets["sdm"]:.3f}. (Each map is then seen in many forms: a guess.)
- **At an equal budget the picture gains.** As WebP with {uses[picture].value:,.0f} uses it has mIoU {value(picture, 10):.3f}, more than anything drawn from a map ({drawn:.3f}, with {uses["oasis+digital"].value:,.0f} uses); on `streets` the map was ahead at
that budget. What a map buys hangs on how good the drawing network is.
- `val` is another part of one of the drives that `train` has. On drives that no network has seen expect less."""


for _metric in METRICS:
    BLOCKS[f"table {_metric}"] = partial(markdown, _metric, CAMVID, CAMVID)


@block("order")
def order() -> str:
    heads = ("metric", "PSNR", "tau", "95 % interval", "pairs swapped", "told apart by both")
    rows = []
    for metric in METRICS:
        for psnr in PSNRS:
            one = held(metric, psnr)
            low, high = one.interval
            rows.append(
                (
                    metric,
                    str(psnr),
                    f"{one.tau:.2f}",
                    f"{low:.2f} to {high:.2f}",
                    str(len(one.swapped)),
                    str(len(one.shown)),
                )
            )
    names = compared()
    pairs = len(names) * (len(names) - 1) // 2
    swapped = "\n".join(f"- mIoU at {psnr} dB: {_pairs(held('mIoU', psnr).shown)}" for psnr in (100, 10, 1))
    return (
        markdown_table(heads, rows)
        + f"""

Kendall's tau of {len(names)} methods without a link ({pairs} pairs) on `streets` and on the photographs: 1 is the same order, 0 none, -1 the reverse. Intervals: the scenes of both
data sets drawn anew 1,000 times with their contributions. "Told apart": the difference is more than 1.96 standard errors on both. Those pairs, the better one on `streets` first:

{swapped}
- mIoU behind a link, label 10: {_pairs(held("mIoU", 10, digital=True).shown)} (tau {held("mIoU", 10, digital=True).tau:.2f} of {len(compared(digital=True))} methods)"""
    )


def _pairs(pairs: tuple[tuple[str, str], ...]) -> str:
    """The pairs, gathered by the better method: `a` > `b`, `c`; ..."""
    gathered: dict[str, list[str]] = {}
    for better, worse in pairs:
        gathered.setdefault(better, []).append(f"`{worse}`")
    return "; ".join(f"`{better}` > {', '.join(worse)}" for better, worse in gathered.items()) or "none"


@cache
def _scene_means(folder: str) -> dict[str, float]:
    """The mean of mIoU[scene] over the scenes of `DRIVE` at 100 dB, by spec."""
    rows = unfolded(rows_of(folder))
    rows = rows[(rows["metric"] == "mIoU[scene]") & (rows["scene"] != WHOLE_SET) & (rows["psnr"] == 100)]
    return dict(rows[rows["scene"].str.startswith(DRIVE)].groupby("method")["value"].mean())


def known_and_new() -> dict[str, tuple[float, float]]:
    """Method -> mean mIoU[scene] of photographs of one drive that it was trained on, and that it was not."""
    known, new = _scene_means(f"{CAMVID}/known"), _scene_means(CAMVID)
    return {shipped_spec(spec): (value, new[spec]) for spec, value in known.items()}


@block("known")
def known() -> str:
    heads = ("method", "trained on", "new", "difference")
    rows = [
        (f"`{name}`", f"{own:.3f}", f"{new:.3f}", f"{own - new:+.3f}") for name, (own, new) in known_and_new().items()
    ]
    return markdown_table(heads, rows)


@block("commands")
def commands() -> str:
    trained = [fact(card, r"Reproduce \| `(bench train [^`]+)`") for card in _cards().values()]
    specs = _specs(".")
    known_scenes = scenes("mIoU", CAMVID, f"{CAMVID}/known")
    lines = "\n".join(trained)
    return f"""```bash
# bench.toml: [data.camvid] root = "CamVid", size = [96, 128]
{lines}
bench run --datasets camvid --split val --scenes {scenes("mIoU", CAMVID, CAMVID)} --psnr all --metrics mIoU,LPIPS,FID --out results/local/camvid --methods \\
{specs}
# known photographs, and other ways to sample
bench run --datasets camvid --split train --scenes {known_scenes} --psnr 100 --metrics mIoU,LPIPS --out results/local/known --methods \\
{_specs("known")}
bench run --datasets camvid --split val --scenes {scenes("mIoU", CAMVID, CAMVID)} --psnr 100 --metrics mIoU,LPIPS --out results/local/sampling --methods \\
{_specs("sampling")}
```"""


def _specs(folder: str) -> str:
    """The specs of the rows in a folder."""
    return listed(column("mIoU", 100, f"{CAMVID}/{folder}", CAMVID))
