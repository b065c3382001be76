"""What makes sampling fast does not change what is sampled: guidance in one batch, precision, compiling, batches."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pytest
import torch
from torch import Tensor

from bench.api.errors import MethodError
from bench.api.method import MethodContext, Received
from bench.api.scenes import stack
from bench.data.registry import open_dataset
from methods.common.diffusion.compiled import CompiledNetwork, at_fixed_batch, filled
from methods.common.diffusion.guidance import guided_denoiser, plain_denoiser
from methods.common.diffusion.layers import Attention, GroupNorm, SpadeGroupNorm
from methods.common.diffusion.memory import Batches, bytes_per_image
from methods.common.diffusion.method import precision_on
from methods.common.diffusion.profile import UNetConfig
from methods.common.diffusion.unet import SemanticUNet
from methods.gesco.method import Gesco

TINY = UNetConfig(
    map_channels=5,
    width=32,
    multipliers=(1, 2),
    blocks=1,
    attention_factors=(2,),
    head_channels=16,
    spade_hidden=8,
    groups=8,
)


def network(config: UNetConfig = TINY) -> SemanticUNet:
    torch.manual_seed(0)
    return SemanticUNet(config).eval().requires_grad_(False)


def inputs(count: int, seed: int = 1) -> tuple[Tensor, Tensor, Tensor]:
    """Maps, x and timesteps of `count` pictures."""
    generator = torch.Generator().manual_seed(seed)
    maps = torch.rand(count, 5, 16, 32, generator=generator)
    x = torch.randn(count, 3, 16, 32, generator=generator)
    return maps, x, torch.randint(1000, (1,), generator=generator).expand(count)


@pytest.mark.parametrize("scale", [1.0, 2.0])
@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("patch", [1, 2])
def test_one_guided_batch_equals_the_published_two_passes(scale: float, count: int, patch: int) -> None:
    unet = network(UNetConfig(**{**TINY.__dict__, "patch": patch}))
    maps, x, timesteps = inputs(count)
    plain = plain_denoiser(unet, maps, scale)(x, timesteps)
    ours = guided_denoiser(unet, maps, scale)(x, timesteps)
    assert ours.shape == (count, 6, 16, 32)
    assert plain.std() > 0.1
    assert float((ours - plain).abs().max()) < 1e-5 * float(plain.abs().max())


def test_prepared_modulations_serve_every_timestep_and_the_last_one_serves_the_rest() -> None:
    layer = SpadeGroupNorm(8, 5, 4, 4, 1).requires_grad_(False)
    x = torch.randn(6, 8, 4, 4, generator=torch.Generator().manual_seed(0))
    gamma, beta = layer.modulation(torch.rand(4, 5, 4, 4, generator=torch.Generator().manual_seed(1)))
    spread = [torch.cat([part, part[-1:].expand(2, -1, -1, -1)]) for part in (gamma, beta)]
    assert torch.allclose(layer(x, (gamma, beta)), layer(x, (spread[0], spread[1])), atol=1e-6)


def test_attention_is_softmax_attention_with_a_residual() -> None:
    torch.manual_seed(0)
    layer = Attention(32, 8, 4).requires_grad_(False)
    x = torch.randn(2, 32, 4, 6)
    qkv = layer.qkv(layer.norm(x).flatten(2)).reshape(2, 4, 3, 8, 24)  # heads, then q, k, v, as in the checkpoints
    q, k, v = qkv.unbind(2)
    weights = torch.softmax(torch.einsum("bhcn,bhcm->bhnm", q, k) / 8**0.5, dim=-1)
    values = torch.einsum("bhnm,bhcm->bhcn", weights, v).reshape(2, 32, 24)
    expected = x + layer.proj_out(values).reshape(x.shape)
    for memory_format in (torch.contiguous_format, torch.channels_last):
        assert float((layer(x.contiguous(memory_format=memory_format)) - expected).abs().max()) < 1e-5


@pytest.mark.parametrize(("precision", "limit"), [(torch.bfloat16, 0.05), (torch.float16, 0.01)])
def test_half_precision_stays_near_float32(precision: torch.dtype, limit: float) -> None:
    maps, x, timesteps = inputs(2)
    exact = guided_denoiser(network(), maps, 2.0)(x, timesteps)
    rounded = guided_denoiser(network().to(precision), maps, 2.0)(x, timesteps)
    assert rounded.dtype == torch.float32
    error = float((rounded - exact).square().mean().sqrt() / exact.square().mean().sqrt())
    assert 0 < error < limit


def test_precision_of_the_option_auto_depends_on_the_device() -> None:
    assert precision_on(torch.device("cpu"), "auto") == torch.float32
    assert precision_on(torch.device("cuda"), "auto") == torch.bfloat16
    assert precision_on(torch.device("cpu"), "bfloat16") == torch.bfloat16


def test_the_network_traces_as_one_graph() -> None:
    """What compiling needs: no graph breaks, and the same numbers (the tracer's own backend, no compiler)."""
    unet = network()
    maps, x, timesteps = inputs(2)
    traced = torch.compile(unet, backend="eager", fullgraph=True, dynamic=False)

    def bind(modulations: Iterable, branches: int) -> object:
        kept = list(modulations)
        return lambda x, t: traced(x, t, kept, branches)

    ours = guided_denoiser(unet, maps, 2.0, bind)(x, timesteps)  # type: ignore[arg-type]
    plain = plain_denoiser(unet, maps, 2.0)(x, timesteps)
    assert float((ours - plain).abs().max()) < 1e-5 * float(plain.abs().max())


@pytest.mark.parametrize("affine", [True, False])
def test_group_normalisation_told_to_the_compiler_is_pytorchs(affine: bool) -> None:
    torch.manual_seed(0)
    norm = GroupNorm(4, 12, affine=affine)
    if affine:
        torch.nn.init.normal_(norm.weight)
        torch.nn.init.normal_(norm.bias)
    x = (3 * torch.randn(2, 12, 6, 10) + 2).requires_grad_()
    expected = norm(x)
    (slope,) = torch.autograd.grad(expected.square().sum(), x)
    torch._dynamo.reset()
    traced = torch.compile(norm, backend="aot_eager", fullgraph=True, dynamic=False)(x)
    assert float((traced - expected).abs().max().detach()) < 1e-5
    assert float((torch.autograd.grad(traced.square().sum(), x)[0] - slope).abs().max()) < 1e-4
    half = norm.to(torch.bfloat16)(x.detach().to(torch.bfloat16))
    assert half.dtype == torch.bfloat16


def test_the_encoder_runs_once_for_both_passes_of_guidance() -> None:
    unet = network()
    maps, x, timesteps = inputs(3)
    rows: dict[str, list[int]] = {"encoder": [], "decoder": []}
    unet.input_blocks[0][0].register_forward_hook(lambda module, args, output: rows["encoder"].append(len(output)))
    unet.out.register_forward_hook(lambda module, args, output: rows["decoder"].append(len(output)))
    guided_denoiser(unet, maps, 2.0)(x, timesteps)
    assert rows == {"encoder": [3], "decoder": [6]}


def test_a_short_batch_is_filled_up_and_cut() -> None:
    seen: list[int] = []

    def denoise(x: Tensor, timesteps: Tensor) -> Tensor:
        seen.append(len(x))
        assert len(timesteps) == len(x)
        return 2 * x

    x = torch.arange(3.0)[:, None]
    assert torch.equal(at_fixed_batch(denoise, 8)(x, torch.zeros(3)), 2 * x)
    assert seen == [8]
    assert torch.equal(filled(x, 3), x)


def noise(maps: Tensor, rngs: Sequence[torch.Generator]) -> Tensor:
    return torch.stack([torch.randn(2, generator=rng) for rng in rngs])


def generators(count: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(i) for i in range(count)]


def test_out_of_memory_halves_the_batch_and_changes_no_picture() -> None:
    sizes: list[int] = []

    def sample(maps: Tensor, rngs: Sequence[torch.Generator]) -> Tensor:
        pictures = noise(maps, rngs)  # the generators have moved on when the memory runs out
        sizes.append(len(rngs))
        if len(rngs) > 2:
            raise torch.cuda.OutOfMemoryError("test")
        return pictures + maps.flatten(1)[:, :1]

    maps = torch.arange(7.0).reshape(7, 1, 1, 1)
    batches = Batches(limit=6)
    pictures = batches.run(sample, maps, generators(7))
    assert sizes == [6, 3, 1, 1, 1, 1, 1, 1, 1]
    assert batches.limit == 1
    assert torch.equal(pictures, noise(maps, generators(7)) + maps.flatten(1)[:, :1])


def test_one_picture_that_does_not_fit_is_an_error_for_people() -> None:
    def sample(maps: Tensor, rngs: Sequence[torch.Generator]) -> Tensor:
        raise torch.cuda.OutOfMemoryError("tried to allocate 20 GiB")

    with pytest.raises(MethodError, match=r"does not hold one picture of 4x6.*20 GiB.*--device cpu"):
        Batches().run(sample, torch.zeros(2, 1, 4, 6), generators(2))


def test_the_memory_estimate_counts_the_prepared_modulations_exactly() -> None:
    unet = network()
    maps, _, _ = inputs(1)
    prepared = sum(part.numel() * part.element_size() for pair in unet.prepare(maps) for part in pair)
    once, guided = (bytes_per_image(unet, 16, 32, guided) for guided in (False, True))
    activations = guided - once
    assert once == prepared + activations
    assert bytes_per_image(unet, 32, 64, True) == 4 * guided
    assert bytes_per_image(network().to(torch.bfloat16), 16, 32, True) == guided // 2


def test_splitting_a_batch_changes_no_picture(tmp_path_factory: pytest.TempPathFactory) -> None:
    source = open_dataset("streets")
    scene = stack([source.load("test", i) for i in source.ids("test", 3)], source.label_space)
    method = Gesco(MethodContext("streets", scene.label_space, 64, 128), {"steps": 2})
    sent = method.send(scene)
    received = Received(sent.symbols, sent.side_info)
    together = method.receive(received, generators(3))
    method.batches.limit = 2
    assert float((method.receive(received, generators(3)) - together).abs().max()) < 1e-4


@pytest.mark.gpu
def test_the_captured_graph_computes_what_the_network_computes() -> None:
    device = torch.device("cuda")
    unet = network().to(device, memory_format=torch.channels_last)
    compiled = CompiledNetwork(unet)
    for seed, count in ((1, 3), (2, 3), (3, 4)):  # capture, the same graph under other maps, another shape
        maps, x, timesteps = (value.to(device) for value in inputs(count, seed))
        with torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            denoise = guided_denoiser(unet, maps, 2.0, compiled.bind)
            for step in (0, 400):
                ours, plain = denoise(x, timesteps + 0 * step), plain_denoiser(unet, maps, 2.0)(x, timesteps)
                assert float((ours - plain).abs().max()) < 1e-4 * float(plain.abs().max())


@pytest.mark.gpu
def test_bfloat16_pictures_on_cuda_match_float32_ones() -> None:
    source = open_dataset("streets")
    scene = stack([source.load("test", i) for i in source.ids("test", 4)], source.label_space)
    context = MethodContext("streets", scene.label_space, 64, 128, device_name="cuda")
    pictures = []
    for options in ({"precision": "float32", "compile": "never"}, {"precision": "bfloat16", "compile": "always"}):
        method = Gesco(context, {"steps": 10, **options})
        sent = method.send(scene)
        pictures.append(method.receive(Received(sent.symbols, sent.side_info), generators(4)))
    assert float((pictures[0] - pictures[1]).abs().mean()) < 0.02


def test_nothing_is_compiled_on_the_cpu() -> None:
    source = open_dataset("streets")
    method = Gesco(MethodContext("streets", source.label_space, 64, 128), {"steps": 25, "compile": "always"})
    assert not method._worth_compiling()


def test_modulations_without_room_are_made_anew_to_the_same_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    unet = network()
    maps, x, index = inputs(2)
    made = []
    with torch.inference_mode():
        for room in (2**40, 2**16, 0):
            monkeypatch.setattr("methods.common.diffusion.guidance.ROOM", room)
            made.append(guided_denoiser(unet, maps, 2.0)(x, index))
        kept = [sum(isinstance(one, tuple) for one in unet.prepare(maps, room)) for room in (2**40, 2**18, 0)]
    assert torch.equal(made[0], made[1])
    assert torch.equal(made[0], made[2])
    assert kept[0] > kept[1] > kept[2] == 0
