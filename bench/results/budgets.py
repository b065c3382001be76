"""What follows from what a scene costs: complex channel uses, bandwidth ratio, mean power and mean SNR.

The one place that derives them. Results have them as rows of the whole set beside what they follow from; those of
earlier versions get them when they are read, as far as they say enough.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, cast

from bench.results.schema import CELL_OF_SEED, CONTRIBUTIONS
from bench.results.scores import of_methods

if TYPE_CHECKING:
    import pandas as pd

ENERGY_PROTOCOL = "sum of squares of what is sent, a scene, in units of P, the channel's peak or mean power"
#: score -> how it is made.
PROTOCOLS = {
    "complex_uses": "channel_uses / 2: real symbols are I and Q of complex ones, a scene",
    "cbr": "bandwidth ratio: complex channel uses over the picture's 3HW values",
    "mean_power": "energy of all scenes over their channel uses: mean square of a real symbol, in units of P",
    "mean_snr": "mean_power over sigma squared in dB, Es/N0 of complex symbols; undefined without noise",
}


def mean_snr_db(power: float, sigma: float) -> float:
    """Mean power of a real symbol over that of the noise on it in dB; infinite without noise, NaN if not known."""
    if math.isnan(power):
        return math.nan
    if sigma == 0:
        return math.inf
    return 10 * math.log10(power / sigma**2) if power > 0 else -math.inf


def derived(uses: Mapping[str, Any], power: float, sigma: float, size: str) -> Iterator[dict[str, Any]]:
    """The scores of `PROTOCOLS` from a cell's score `channel_uses`, its mean power and sigma, and the pictures' size.

    What a mean power that is not known (NaN) would tell is left out.
    """
    height, width = (int(side) for side in size.split("x"))
    for name, values in {"complex_uses": 2, "cbr": 2 * 3 * height * width}.items():
        yield {**uses, "metric": name, **{n: uses[n] / values for n in ("value", "std", "stderr") if n in uses}}
    if not math.isnan(power):
        snr = mean_snr_db(power, sigma)
        for name, value in {"mean_power": power, "mean_snr": snr if math.isfinite(snr) else math.nan}.items():
            yield {"metric": name, "value": value, "scenes": uses["scenes"]}


def with_derived(frame: pd.DataFrame) -> pd.DataFrame:
    """Rows of an earlier version with what follows from those of channel uses, beside others that have it already.

    A mean power that no energy tells follows from the mean SNR, and then the energy from it.
    """
    import pandas as pd

    whole = of_methods(frame)
    known = set(whole[whole["metric"] == "cbr"].set_index(CELL_OF_SEED).index)
    energies = whole[whole["metric"] == "energy"].set_index(CELL_OF_SEED)["value"].to_dict()
    made: list[dict[str, Any]] = []
    for uses in cast("list[dict[str, Any]]", whole[whole["metric"] == "channel_uses"].to_dict("records")):
        cell = tuple(uses[column] for column in CELL_OF_SEED)
        if cell in known:
            continue
        power, sigma = math.nan, float(uses["sigma"])
        base: dict[str, Any] = {**uses, "std": math.nan, "stderr": math.nan, CONTRIBUTIONS: None}
        if cell in energies and uses["value"]:
            power = energies[cell] / uses["value"]
        elif math.isfinite(uses["mean_snr_db"]) and sigma > 0:
            power = 10 ** (uses["mean_snr_db"] / 10) * sigma**2
            energy = {"metric": "energy", "value": power * uses["value"], "protocol": ENERGY_PROTOCOL}
            made.append({**base, **energy})
        for score in derived(uses, power, sigma, str(uses["size"])):
            made.append({**base, **score, "protocol": PROTOCOLS[score["metric"]]})
    return pd.concat([frame, pd.DataFrame(made)[list(frame)]], ignore_index=True) if made else frame
