"""What the reports say in the same words: headline, numbers, how to read them; other people's text made harmless."""

import math
import re

from bench.regress.model import Basis, Change, Cost, Report, ScoreChange, Verdict

#: Where Markdown, HTML, a mention, a reference, a formula, a link or the next cell of a table can begin.
_MARKS = re.compile(r"([\\`*_{}\[\]<>#!|~&@/$]|(?<=www)\.)", re.IGNORECASE)


def plain(value: object, longest: int = 200) -> str:
    """A value as one line of printable characters, cut at `longest`."""
    text = "".join(c if c.isprintable() else "?" for c in " ".join(str(value).split()))
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def markdown(value: object, longest: int = 200) -> str:
    """`plain` text that GitHub's Markdown shows as it is written: no markup, links, mentions or HTML."""
    return _MARKS.sub(r"\\\1", plain(value, longest))


def headline(report: Report) -> str:
    """One line: regression or none, and how many comparisons ended how."""
    said = ", ".join(f"{number} {verdict}" for verdict, number in report.counts.items())
    crashed = f"; {len(report.failures)} failure(s)" if report.failures else ""
    verdict = "REGRESSION" if report.regressed else "NOTHING TESTED" if report.tested_nothing else "no regression"
    return f"{verdict}: {said or 'nothing to compare'}{crashed}"


def number(value: float | None) -> str:
    """A metric's value: four significant digits, `-` where there is none."""
    if value is None:
        return "-"
    if not math.isfinite(value):
        return "undefined"
    return f"{value:.1f}" if abs(value) >= 100 else f"{value:.4g}"


def signed(value: float | None) -> str:
    """A change with its sign."""
    return "-" if value is None else f"{value:+.3g}"


def interval(made: ScoreChange) -> str:
    """The change's 95 % interval."""
    return "-" if made.low is None or made.high is None else f"{made.low:+.3g} to {made.high:+.3g}"


def chance(made: ScoreChange) -> str:
    """The corrected p; what is far below any level is not told apart."""
    if made.p is None:
        return "-"
    return f"{made.p:.3f}" if made.p >= 0.001 else "<0.001"


def arrow(made: ScoreChange) -> str:
    """Metric with the direction of better values."""
    return f"{made.metric} {'↑' if made.higher_is_better else '↓'}"


def cost_line(cost: Cost, cells: int) -> str:
    """A warned cost, the largest of so many cells of a method."""
    where = f"at PSNR {cost.cell.psnr:g}" + (f" and {cells - 1} more" if cells > 1 else "")
    return (
        f"{cost.what} of {cost.cell.method} on {cost.cell.dataset}: {cost.baseline:,.4g} → {cost.rerun:,.4g} "
        f"(x{cost.factor:.2f}) {where}"
    )


def change_line(change: Change) -> str:
    """Something else that differs."""
    return f"{change.what}: {change.baseline} → {change.rerun}"


def how_to_read(report: Report) -> list[str]:
    """What the verdicts rest on: sentences for below the tables."""
    by_basis = {b: dict.fromkeys(c.metric for c in report.comparisons if c.basis is b) for b in Basis}
    used = "; ".join(f"{', '.join(metrics)}: {basis}" for basis, metrics in by_basis.items() if metrics)
    scenes = ", ".join(f"{len(ids)} scenes of {dataset}" for dataset, ids in report.ids.items())
    was, now = (", ".join(map(str, report.about[side]["seeds"])) for side in ("baseline", "rerun"))
    noise = f"the same noise on both sides (seeds {was})"
    if was != now:
        noise = f"other noise in the rerun (seeds {now}; baseline {was})"
    lines = [
        f"{scenes}, paired, {noise}. worse and better: told from chance at {report.alpha:g} for the whole report "
        f"(Holm, {report.family} comparisons) and by at least the floor; same: not, and the interval says what may be "
        "hidden."
    ]
    if used:
        lines.append(f"Told by: {used}. Intervals are 95 % each, Student's t over scenes, not corrected.")
    return lines


def shown(report: Report) -> list[ScoreChange]:
    """What a reader has to see row by row: everything but what stayed the same or was not tested, regressions first."""
    order = (Verdict.WORSE, Verdict.MISSING, Verdict.BETTER, Verdict.NEW)
    return [made for verdict in order for made in report.of(verdict)]


def untested(report: Report) -> list[str]:
    """A line for each reason why comparisons were not tested, with their metrics."""
    reasons: dict[str, list[ScoreChange]] = {}
    for made in report.of(Verdict.UNTESTED):
        reasons.setdefault(made.note, []).append(made)
    lines = []
    for reason, group in reasons.items():
        metrics = ", ".join(dict.fromkeys(c.metric for c in group))
        lines.append(f"not tested: {metrics} ({len(group)} comparison{'s' * (len(group) > 1)}): {reason}")
    return lines
