"""DeepJSCC: bandwidth ratio, power, what it is told of the channel, and its training."""

from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import torch

from bench.api.errors import ImpossibleError, MethodError
from bench.api.method import MethodContext, Received
from bench.api.scenes import LabelSpace, Scene
from bench.api.specs import all_methods, parse_spec
from bench.api.tensors import write_weights
from bench.api.weights import weights_name
from bench.channels.awgn import Awgn
from bench.channels.rayleigh import Rayleigh
from bench.run.transport import Analogue, Arrival
from methods.deepjscc import DeepJscc
from methods.deepjscc.method import PEAK, DeepJsccProfile, profile_for
from methods.deepjscc.network import Autoencoder
from methods.deepjscc.task import DeepJsccTask

SPACE = LabelSpace("two", ("a", "b"), ((0, 0, 0), (255, 255, 255)), (0, 1))
HEIGHT, WIDTH = 32, 64


def scenes(count: int = 3) -> Scene:
    """Scenes of a few colours each."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(count, 3, 4, 8, generator=generator)
    image = torch.nn.functional.interpolate(coarse, (HEIGHT, WIDTH), mode="bilinear")
    labels = torch.zeros(count, HEIGHT, WIDTH, dtype=torch.long)
    return Scene(image, labels, torch.zeros_like(labels, dtype=torch.int32), None, tuple(map(str, range(count))), SPACE)


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> MethodContext:
    """A context whose weights folder holds random networks of all variants that are asked for."""
    folder = tmp_path_factory.mktemp("weights")
    context = MethodContext("streets", SPACE, HEIGHT, WIDTH, weights_dir=folder)
    torch.manual_seed(0)
    asked: list[dict[str, Any]] = [{"ratio": ratio} for ratio in ("1/12", "1/6", "1/3")]
    for options in (*asked, {"adaptive": True}, {"activation": "gdn"}, {"trained": "10"}):
        profile = profile_for(context, **options)
        file = folder / weights_name("deepjscc", context, profile.variant)
        write_weights(file, Autoencoder(profile).state_dict(), {})
    return context


@pytest.mark.parametrize("ratio", ["1/12", "1/6", "1/3"])
def test_the_ratio_is_complex_channel_uses_a_colour_value(ratio: str, context: MethodContext) -> None:
    sent = DeepJscc(context, {"ratio": ratio}).send(scenes())
    for symbols in sent.symbols:
        assert Fraction(symbols.numel(), 2 * 3 * HEIGHT * WIDTH) == Fraction(ratio)


@pytest.mark.parametrize("options", [{}, {"adaptive": True}, {"activation": "gdn"}])
def test_a_scene_has_mean_power_one_and_at_most_the_peak(options: dict[str, Any], context: MethodContext) -> None:
    network = Autoencoder(profile_for(context, **options))
    told = torch.full((3,), 5.0) if options.get("adaptive") else None
    symbols = network.encode(scenes().image, told).detach()
    assert symbols.abs().max() <= PEAK
    whole = (symbols.abs() < PEAK).flatten(1).all(1)
    power = symbols.square().mean((1, 2, 3))
    assert (power <= 1 + 1e-5).all()
    torch.testing.assert_close(power[whole], torch.ones(int(whole.sum())))


def test_symbols_are_shares_of_the_peak_and_the_receiver_scales_them_back(context: MethodContext) -> None:
    method = DeepJscc(context)
    sent = method.send(scenes())
    clean = method.network.encode(scenes().image)
    torch.testing.assert_close(torch.stack(sent.symbols) * PEAK, clean)
    shown = method.receive(Received(sent.symbols, sent.side_info), [torch.Generator()] * 3)
    torch.testing.assert_close(shown, method.network.decode(clean).clamp(0, 1))


def test_a_scene_is_sent_and_shown_the_same_in_any_batch(context: MethodContext) -> None:
    method, whole = DeepJscc(context), scenes()
    alone = Scene(whole.image[1:2], whole.labels[1:2], whole.instances[1:2], None, ("1",), SPACE)
    sent, one = method.send(whole), method.send(alone)
    torch.testing.assert_close(sent.symbols[1], one.symbols[0], atol=1e-6, rtol=1e-5)
    rngs = [torch.Generator()] * 3
    shown = method.receive(Received(sent.symbols, sent.side_info), rngs)
    torch.testing.assert_close(
        shown[1:2], method.receive(Received(sent.symbols[1:2], (b"",)), rngs[:1]), atol=1e-6, rtol=1e-5
    )


@pytest.mark.parametrize(
    ("channel", "ratio_db"),
    [
        (Awgn(10, "eq1"), 10 - 20 * math.log10(PEAK)),  # symbols are half of the peak
        (Awgn(10, "eq1", "average"), 10.0),  # the harness scales them to mean power 1
        (Rayleigh(10, "eq1", "average", csi="both"), 10.0),  # the mean, whatever the realisation
        (Awgn(100), math.inf),
    ],
)
def test_the_adaptive_network_is_told_its_symbols_nominal_ratio_at_both_ends(
    channel: Awgn, ratio_db: float, context: MethodContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    method = DeepJscc(context, {"adaptive": True})
    way = Analogue("deepjscc:adaptive=true", channel.nominal_snr)
    sent = way.send(method, scenes())
    assert sent.snr_db == pytest.approx((ratio_db,) * 3)
    delivered = way.deliver(sent, [Arrival(symbols, None) for symbols in sent.symbols])
    told: list[float] = []
    decode = method.network.decode

    def spy(symbols: torch.Tensor, snr_db: torch.Tensor | None) -> torch.Tensor:
        assert snr_db is not None
        told.extend(snr_db.tolist())
        return decode(symbols, snr_db)  # type: ignore[no-any-return]

    monkeypatch.setattr(method.network, "decode", spy)
    delivered.shown_by(method, [torch.Generator()] * 3, [0, 2])
    assert told == pytest.approx([min(ratio_db, 40.0)] * 2)


def test_nobody_else_is_told_anything(context: MethodContext) -> None:
    sent = Analogue("deepjscc", Awgn(10).nominal_snr).send(DeepJscc(context), scenes())
    assert sent.snr_db == ()
    with pytest.raises(MethodError, match="told nothing of the channel"):
        super(DeepJscc, DeepJscc(context)).send_knowing(scenes(), (1.0, 1.0, 1.0))


def test_what_the_adaptive_network_sends_and_shows_depends_on_the_ratio(context: MethodContext) -> None:
    method = DeepJscc(context, {"adaptive": True})
    low, high = (method.send_knowing(scenes(), (snr,) * 3) for snr in (-5.0, 20.0))
    assert not torch.equal(low.symbols[0], high.symbols[0])
    shown = [
        method.receive(Received(low.symbols, low.side_info, (snr,) * 3), [torch.Generator()] * 3)
        for snr in (-5.0, 20.0)
    ]
    assert not torch.equal(*shown)


def test_it_is_run_by_name_and_its_options_are_read_from_a_spec() -> None:
    assert "deepjscc" not in all_methods()[0]
    spec = parse_spec("deepjscc:ratio=1/12:adaptive=true:trained=10")
    assert spec.options == {"ratio": "1/12", "adaptive": True, "trained": "10"}


def test_what_does_not_exist_is_named(context: MethodContext) -> None:
    with pytest.raises(MethodError, match=r"ratio=1/5 of deepjscc; known: 1/12, 1/6, 1/3"):
        DeepJscc(context, {"ratio": "1/5"})
    with pytest.raises(ImpossibleError, match="multiples of 4"):
        profile_for(MethodContext("streets", SPACE, 30, 64))
    with pytest.raises(MethodError, match=r"deepjscc-1_6-10-adaptive-streets-32x64\.safetensors"):
        DeepJscc(context, {"trained": "10", "adaptive": True})


@pytest.mark.parametrize("options", [{"trained": "10"}, {"adaptive": True, "ratio": "1/12"}, {"activation": "gdn"}])
def test_training_brings_the_error_down_and_goes_into_its_own_file(
    options: dict[str, Any], context: MethodContext
) -> None:
    torch.manual_seed(0)
    task = DeepJscc.training_task(context, options)
    assert isinstance(task, DeepJsccTask)
    assert task.weights_file == weights_name("deepjscc", context, DeepJsccProfile(**options).variant)
    task.steps, batch = 100, scenes(4)

    def error() -> float:
        return task.validation(batch, torch.Generator().manual_seed(0))["loss"]

    before = error()
    for step in range(100):
        task.step(batch, torch.Generator().manual_seed(step), step)
    assert error() < 0.7 * before
    assert set(task.export()) == set(Autoencoder(DeepJsccProfile(**options)).state_dict())


def test_the_ratios_of_a_training(context: MethodContext) -> None:
    every = DeepJscc.training_task(context)
    fixed = DeepJscc.training_task(context, {"trained": "10"})
    assert isinstance(every, DeepJsccTask)
    assert isinstance(fixed, DeepJsccTask)
    generator = torch.Generator().manual_seed(0)
    drawn = every.ratios(4000, generator)
    finite = drawn[drawn.isfinite()]
    assert finite.min() == pytest.approx(-6, abs=0.1)
    assert finite.max() == pytest.approx(26, abs=0.1)
    assert 1 - len(finite) / 4000 == pytest.approx(1 / 8, abs=0.02)
    assert fixed.ratios(3, generator).tolist() == [10, 10, 10]


def test_weights_say_which_variant_they_are_of(context: MethodContext) -> None:
    files = {path.name for path in Path(str(context.weights_dir)).glob("*.safetensors")}
    assert "deepjscc-1_6-all-adaptive-streets-32x64.safetensors" in files
    assert "deepjscc-1_6-all-gdn-streets-32x64.safetensors" in files
