"""When a training counts as diverging, and when not."""

from __future__ import annotations

from bench.train.record import FACTOR, PATIENCE, DivergenceMonitor


def fed(values: list[float], name: str = "loss") -> DivergenceMonitor:
    monitor = DivergenceMonitor(("loss",))
    for value in values:
        monitor.observe({name: value})
    return monitor


def test_losses_in_a_row_far_above_their_median_are_divergence() -> None:
    steady = [0.1, 0.12, 0.09, 0.11, 0.1, 0.1]
    for count in range(PATIENCE):
        monitor = fed(steady + [0.1 * FACTOR * 1.5] * count)
        assert monitor.diverged() is None
        assert monitor.suspicious == (count > 0)
    assert "loss is 1.5, 15 times its usual 0.1" in str(fed(steady + [1.5] * PATIENCE).diverged())


def test_spikes_that_pass_are_not() -> None:
    values = [0.1] * 6 + [5.0, 5.0, 0.1] * 5
    monitor = fed(values)
    assert monitor.diverged() is None
    assert not monitor.suspicious


def test_neither_a_falling_start_nor_slow_growth_nor_an_unwatched_scalar_is() -> None:
    assert not fed([100.0, 10.0, 1.0, 0.5, 0.3, 0.2, 0.2]).suspicious
    assert not fed([0.01 * 1.2**i for i in range(60)]).suspicious
    assert not fed([0.01] * 10 + [10.0] * 10, name="kl").suspicious


def test_the_state_goes_on_where_it_was() -> None:
    first = fed([0.1] * 6 + [9.0] * (PATIENCE - 1))
    second = DivergenceMonitor(("loss",))
    second.restore(first.state())
    assert second.suspicious
    second.observe({"loss": 9.0})
    assert second.diverged()
