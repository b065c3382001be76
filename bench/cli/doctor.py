"""`bench doctor`: what this machine can run."""

import typer

from bench.cli.options import ConfigOption


def doctor(config: ConfigOption = None) -> None:
    """Say in plain words what this machine can run: device, data roots, weights, metrics, and what to do about gaps.

    The exit code is 0 whatever is missing.
    """
    from bench.config import load_config

    settings = load_config(config)
    from bench.doctor import examine

    topic = None
    gaps = 0
    for finding in examine(settings):
        if finding.topic != topic:
            topic = finding.topic
            typer.echo(f"\n{topic}")
        mark = {True: "ok  ", False: "gap ", None: "    "}[finding.ready]
        gaps += finding.ready is False
        typer.echo(f"  {mark} {finding.text}")
    typer.echo(f"\n{gaps} gap(s). " + ("Each line says what to do." if gaps else "Everything is in place."))
