"""Quality against bits of the digital payload and against analogue channel uses (the claim of section 4.2)."""

from __future__ import annotations

from bench.figures.style import Drawing
from bench.figures.tradeoff import tradeoff
from bench.tables.request import Request

COSTS = {"bits": "bits a scene (digital payload)", "channel_uses": "channel uses a scene (real symbols)"}


def draw(request: Request) -> list[Drawing]:
    """Two panels: bits, channel uses; means over scenes."""
    return tradeoff(request, "bits", COSTS, "Quality against what is sent", ("Costs are means over scenes.",))
