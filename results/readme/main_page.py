"""The blocks of README.md and of the guide in docs/."""

from __future__ import annotations

from collections.abc import Callable

from results.readme import camvid_page, links_page
from results.readme.blocks import Block, registered
from results.readme.numbers import (
    DECIDING,
    PSNRS,
    carded,
    ceiling,
    claim,
    column,
    costs,
    entry,
    images_seen,
    methods,
    peak_levels,
    scenes,
    speed,
    training_minutes,
    value,
)

#: Methods of the table, with what stands beside their names.
SHOWN = {
    "full_image": "", "spade": "", "ccfpse": "", "smis": "", "oasis": "", "sdm": "", "gesco": " (the paper's)",
    "oasis+fds": "", "gesco-nofds": "", "gesco_fdstrain": "",
}  # fmt: skip
#: Ways of sending over a link in the same table, with what stands beside their names.
LINKED = {
    "oasis+digital": "", "sdm+digital": "", "gesco+digital": "",
    "full_image+digital:codec=webp:uses=8000": " (WebP)", "full_image+digital:codec=webp:uses=24600": " (WebP)",
}  # fmt: skip
#: Of README's command in `.ci/run`, a fresh clone of commit 0c61f37, 2026-11-29.
IDLE_SECONDS = 99
README, METHODS, TRAINING = "README.md", "docs/guide/methods.md", "docs/guide/training.md"
#: Page -> its blocks.
PAGES: dict[str, dict[str, Block]] = {README: {}, METHODS: {}, TRAINING: {}}


def block(page: str, name: str) -> Callable[[Block], Block]:
    """Registers the maker of a page's block."""
    return registered(PAGES[page], name)


@block(README, "times")
def times() -> str:
    measured = speed("against")
    sweep = measured["sweeps"][0]
    runs = [run["seconds"] for run in sweep["now"]]
    claim(sweep["methods"] == "gesco,smis,full_image" and sweep["scenes"] == 64, "README's sweep was timed")
    return f"""The sweep (3 methods × 7 PSNRs × 64 scenes) takes {IDLE_SECONDS} s on two idle cores of an AMD EPYC and up to {max(runs):.0f} s where other work shares them ([timed](results/performance/against.md); no other machine was).
It ends with tables and a plot; the next time it answers from its cache in {min(run["again"] for run in sweep["now"]):.0f} s. `--methods all`, the seven methods of the paper, takes about six minutes."""


@block(README, "mIoU")
def scores() -> str:
    """mIoU against PSNR; bold is the first rank among the semantic methods of the whole table."""
    semantic = [m for m in methods() if m != "full_image"]
    first = {p: min(entry("mIoU", m, p).rank or 0 for m in semantic) for p in PSNRS}

    def cell(method: str, psnr: int) -> str:
        one = entry("mIoU", method, psnr)
        return f"**{one.value:.3f}**" if method in semantic and one.rank == first[psnr] else f"{one.value:.3f}"

    def row(name: str, uses: float, cells: list[str]) -> str:
        return f"| {name} | {uses:,.0f} | {' | '.join(cells)} |"

    uncoded = [row(f"{m}{SHOWN[m]}", value("channel_uses", m), [cell(m, p) for p in PSNRS]) for m in SHOWN]
    linked = [
        row(
            f"{m.partition(':')[0]}{beside}",
            links_page.score("channel_uses", m),
            [f"{links_page.score('mIoU', m, p):.3f}" for p in PSNRS],
        )
        for m, beside in LINKED.items()
    ]
    # of another folder: the table's ranks do not know it
    uses = costs("channel_uses", "decision")[DECIDING].value
    deciding = [f"{column('mIoU', p, 'decision')[DECIDING].value:.3f}" for p in PSNRS]
    uncoded.append(row(f"{DECIDING.partition(':')[0]}, deciding", uses, deciding))
    linked_scenes = "" if links_page.scenes() == scenes() else f", `+digital` {links_page.scenes()}"
    return "\n".join(
        [
            f"mIoU on the embedded scenes ({scenes()} test scenes{linked_scenes}, 64×128, embedded segmenter, one seed; the segmenter scores {ceiling():.3f} on the originals):",
            "",
            f"| PSNR label (dB) | channel uses | {' | '.join(str(p) for p in PSNRS)} |",
            f"|---|---:|{'---|' * len(PSNRS)}",
            f"| peak SNR (dB) | | {' | '.join(peak_levels())} |",
            *uncoded,
            *linked,
            "",
            _what_it_says(),
        ]
    )


def _what_it_says() -> str:
    hard = {p: column("mIoU", p, "decision")[DECIDING].value for p in PSNRS}
    claim(all(hard[p] > value("mIoU", "gesco", p) for p in PSNRS), "OASIS that decides is above GESCO at every PSNR")
    claim(hard[1] > value("mIoU", "gesco-nofds", 1), "at 1 dB it is above all that decide nothing")
    alone, behind = (value("mIoU", m) for m in ("oasis", "oasis+fds"))
    claim(behind > 2 * alone, "GESCO's sender and block lift OASIS at 10 dB")
    claim(all(value("mIoU", "gesco", p) < value("mIoU", "gesco-nofds", p) for p in PSNRS), "the block costs quality")
    others = ["spade+fds", "ccfpse+fds", "smis+fds", "oasis+fds", "sdm+fds"]
    claim(
        max(value("mIoU", m, 1) for m in others) < value("mIoU", "gesco", 1), "at 1 dB only training on noise does it"
    )
    link, robust = links_page.score("mIoU", "oasis+digital", 1), links_page.score("mIoU", "gesco", 1)
    claim(
        link > robust > 10 * links_page.score("mIoU", "oasis", 1), "a link carries OASIS's maps further than GESCO gets"
    )
    large = 24600
    picture = links_page.score("LPIPS", f"full_image+digital:codec=webp:uses={large}")
    claim(picture < 0.5 * links_page.score("LPIPS", "oasis+digital"), "a large picture is far ahead in LPIPS")
    joint, seen = (column(metric, 10, "deepjscc")["deepjscc"].value for metric in ("mIoU", "LPIPS"))
    uses = costs("channel_uses", "deepjscc")["deepjscc"].value
    thumbnail = column("LPIPS", 10, "hybrid")["hybrid+digital"].value
    fewer = links_page.uses("oasis") / links_page.uses("oasis+digital")
    return f"""The peak SNR is 1 / sigma² for the noise that was used. Channel uses are real symbols a scene. `+digital` is the map's or
picture's bytes over one fixed 5G LDPC scheme (QPSK, rate 0.4), to a receiver that is told nothing of the noise. Bold:
the first rank among the uncoded semantic methods above; a rank is 1 + the number of methods shown to be better.

- **Who survives an uncoded channel?** With maps as received GESCO does; much of it at 10 dB is its sender and FDS block, which lift OASIS
from {alone:.3f} to {behind:.3f}, and at 1 dB only training on noise does it. The block costs a network that was trained on raw noisy maps quality at every PSNR, against
the paper's Table 5. **But a receiver that decides for one class a pixel behind it** (`oasis+fds:decision=hard`, not in the paper) needs no such training: {hard[10]:.3f} at 10 dB, {hard[1]:.3f}
at 1 dB ([A hard decision](results/README.md#a-hard-decision)).
- **What does meaning buy at an equal budget?** Behind a link every label is a clean channel: OASIS has {link:.3f} at 1 dB, with {fewer:.0f} times
fewer channel uses than its uncoded maps take. No picture here has that mIoU at a map's price; in LPIPS a picture of {large:,} uses is far ahead. `deepjscc` sends
pictures as the field usually does: {uses:,.0f} uses, mIoU {joint:.2f} and LPIPS {seen:.2f} at 10 dB, where `hybrid+digital`'s thumbnail brings LPIPS to {thumbnail:.2f} ([both](results/README.md#a-thumbnail-beside-the-map)).
- **And on photographs?** {camvid_page.in_short()} ([CamVid](results/camvid/README.md)).

All tables, and what they mean: [results](results/README.md), [equal budgets](results/links/README.md)."""


@block(METHODS, "pictures seen")
def pictures_seen() -> str:
    return f"""All embedded generators for `streets` have seen the same {images_seen("streets"):,} pictures, those for `stuff` the same {images_seen("stuff"):,}; `deepjscc`, which draws nothing, {images_seen("streets", "deepjscc"):,}, and `gesco_fast`, which starts as `gesco`, {images_seen("streets", "gesco_fast"):,} of its teacher's."""


@block(TRAINING, "training")
def training() -> str:
    cars = carded("streets_detector.md", r"\| 26 \| [\d.]+ \| ([\d.]+) \|")
    mean = carded("streets_detector.md", r"\| mean \| \*\*[\d.]+\*\* \| \*\*([\d.]+)\*\* \|")
    depth = carded("streets_depth.md", r"\| 500 test scenes \| [\d.]+ \| [\d.]+ \| ([\d.]+) \|")
    minutes = training_minutes()
    segmenters = [carded(f"{name}_judge.md", r"dataset level: \*\*([\d.]+)\*\*") for name in ("streets", "stuff")]
    return f"""The detector reaches AP50 {cars:.2f} for cars (mean of 8 classes {mean:.2f}), the depth network δ<1.25 of {depth:.3f}, both on 500 original test scenes; the segmenters mIoU {segmenters[0]:.2f}
on `streets` and {segmenters[1]:.2f} on `stuff`. Each network took {minutes[0]:.0f} to {minutes[-1]:.0f} minutes on one core, often shared (times, losses and recipes are on the model cards). One trainer does all of them; every
generator sees the same {images_seen("streets"):,} pictures (on `stuff`, with `--dataset stuff --steps 2500`, the same {images_seen("stuff"):,})."""


@block(METHODS, "sampling")
def sampling() -> str:
    from methods.common.diffusion.profile import embedded_profile, paper_profile
    from methods.common.diffusion.samplers import sampler_name

    rows = {row["variant"]: row["s_per_image"] for row in speed("sampling-paper-cuda")["rows"]}
    small, large = embedded_profile(36), paper_profile(36)
    ours, published = rows["ours, batch 1"], rows["published, batch 1"]
    return f"""On the embedded scenes `gesco` and `sdm` sample with {small.sampling_steps} steps of `{sampler_name(small.sampler)}`, at paper size with {large.sampling_steps} of `{large.sampler}`, {ours[str(large.sampling_steps)]:.1f} s a picture on an H100; the papers' protocol, all 1000 ancestral steps ({ours["1000"]:.0f} s; {published["1000"]:.0f} s as
published), is `gesco:sampler=ancestral:steps=1000` ([why, and how fast](../../results/performance/README.md)). `sampler=ddim-published:steps=25` is the published DDIM, noise and all."""
