"""Quality against seconds a picture."""

from __future__ import annotations

from bench.figures.style import Drawing
from bench.figures.tradeoff import tradeoff
from bench.tables.request import Request


def draw(request: Request) -> list[Drawing]:
    """One panel; the notes name the machine, since seconds belong to it."""
    facts = request.facts
    devices = ", ".join(str(d) for d in facts.get("devices") or ["unknown device"])
    machine = f"{devices} ({facts['cpu']})" if facts.get("cpu") and devices == "cpu" else devices
    jobs = f", {facts['jobs']} worker(s) at once" if facts.get("jobs") else ""
    costs = {"seconds": "seconds a picture, on one worker"}
    return tradeoff(request, "seconds", costs, "Quality against time", (f"Time measured on {machine}{jobs}.",))
