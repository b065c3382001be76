"""`bench doctor`: what this machine can run."""

from itertools import groupby

from bench.api.terminal import say
from bench.cli.options import ConfigOption


def doctor(config: ConfigOption = None) -> None:
    """Say in plain words what this machine can run: device, data roots, weights, metrics, and what to do about gaps.

    The exit code is 0 whatever is missing.
    """
    from bench.config import load_config

    settings = load_config(config)
    from bench.doctor import examine, gaps, readiness

    findings = list(examine(settings))
    missing = gaps(findings)
    say(readiness(findings))
    for topic, group in groupby(findings, key=lambda finding: finding.topic):
        there = [finding for finding in group if finding.ready is not False]
        if there:
            say(f"\n{topic}")
        for finding in there:
            say(f"  {'ok  ' if finding.ready else '    '} {finding.text}")
    if missing:
        say("\noptional gaps")
    for text in missing:
        say(f"  gap  {text}")
    say(f"\n{len(missing)} gap(s). " + ("Each line says what to do." if missing else "Everything is in place."))
