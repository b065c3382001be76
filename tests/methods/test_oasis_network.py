"""The generator computes what the published OASIS network computes, under the published names."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from bench.api.method import MethodContext
from bench.data.ade20k import ADE20K
from methods.common.layers import convolve_with_code
from methods.common.semantic.maps import one_hot
from methods.oasis.method import (
    Oasis,
    OasisConfig,
    OasisDiscriminatorConfig,
    embedded_config,
    embedded_discriminator,
    paper_config,
    paper_discriminator,
)
from methods.oasis.network import OasisDiscriminator, OasisGenerator, ResidualBlock, label_order
from tests.methods.golden_helper import check, draws, noisy_maps
from tests.methods.reference_fill import checksum, filled_state, with_widths

DATA = Path(__file__).parent / "data"
#: label channels, size of the fixture, seeds of its noise on the maps and of its noise vectors
CASES = {"cityscapes": (35, (64, 128), 303, 304), "coco": (183, (32, 32), 313, 314)}


@pytest.fixture(scope="module")
def golden() -> dict[str, np.ndarray]:
    """Labels and outputs of the official network at base width 8, made with the filled weights (`reference_fill`)."""
    with np.load(DATA / "oasis_small.npz") as file:
        return dict(file)


def rows_of(network: torch.nn.Module) -> list[list]:
    return [[k, list(v.shape), str(v.dtype).removeprefix("torch.")] for k, v in network.state_dict().items()]


def clean_maps(dataset: str, raw: np.ndarray) -> torch.Tensor:
    """The official loader's channels: Cityscapes's ids as they are; COCO-Stuff's v + 1, and 0 for 255 (unlabelled)."""
    ids = torch.from_numpy(raw.astype(np.int64))
    return one_hot(ids if dataset == "cityscapes" else (ids + 1) % 256, CASES[dataset][0])


@pytest.mark.parametrize(
    ("dataset", "height", "width", "parameters"),
    [("cityscapes", 256, 512, 71_107_523), ("coco", 256, 256, 75_199_427)],
)
def test_paper_network_has_the_published_rows(dataset: str, height: int, width: int, parameters: int) -> None:
    layout = json.loads((DATA / "oasis_layout.json").read_text())
    with torch.device("meta"):
        generator = OasisGenerator(paper_config(height, width, CASES[dataset][0]))
    assert rows_of(generator) == layout[dataset]
    assert sum(p.numel() for p in generator.parameters()) == parameters


def test_paper_network_for_ade20k_is_that_for_coco_on_151_labels_unknown_first() -> None:
    """boschresearch/OASIS's loader leaves the files' values as they are: 0 is unlabelled."""
    context = MethodContext("ade20k", ADE20K, 256, 256, profile="paper")
    with torch.device("meta"):
        generator = Oasis.build_network(context)
    widths = {183 + 64: 151 + 64}
    assert rows_of(generator) == with_widths(json.loads((DATA / "oasis_layout.json").read_text())["coco"], widths)
    assert label_order(ADE20K) == (150, *range(150))


@pytest.mark.parametrize("case", ["clean", "noisy"])
@pytest.mark.parametrize("dataset", ["cityscapes", "coco"])
def test_output_and_early_stages_equal_the_official_ones(
    golden: dict[str, np.ndarray], dataset: str, case: str
) -> None:
    labels, size, map_seed, noise_seed = CASES[dataset]
    meta = json.loads(str(golden[f"{dataset}.meta"]))
    network = OasisGenerator(paper_config(*size, labels, base=8)).eval()
    state = filled_state(rows_of(network))
    assert checksum(state) == pytest.approx(tuple(meta["fill_checksum"]), rel=1e-12)
    network.load_state_dict({k: torch.from_numpy(np.asarray(v)) for k, v in state.items()})
    taps: dict[str, torch.Tensor] = {}
    for name in ("fc", "body.0", "body.1"):
        network.get_submodule(name).register_forward_hook(
            lambda module, inputs, output, name=name: taps.__setitem__(name, output.clone())
        )
    maps = clean_maps(dataset, golden[f"{dataset}.label_raw"])
    if case == "noisy":
        maps = torch.from_numpy(noisy_maps(maps.numpy(), map_seed))
    noise = torch.from_numpy(draws(noise_seed, 2, 64))[: len(maps)]
    with torch.no_grad():
        taps["output"] = network(maps, noise)
    floor = max(meta["float32_vs_float64_maxabs"])
    for name, value in taps.items():
        theirs = golden[f"{dataset}.out_{case}" if name == "output" else f"{dataset}.tap_{case}.{name}"]
        quantity = name if name == "output" else f"tap {name}"
        check("OASIS generator", f"{dataset} {case}", quantity, value, theirs, limit=5 * floor, floor=floor)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [(1, 1), (2, 4), (6, 10)])
def test_code_equals_constant_channels(size: tuple[int, int], stride: int) -> None:
    torch.manual_seed(0)
    layer = torch.nn.Conv2d(7, 5, 3, stride, padding=1)
    maps, code = torch.randn(2, 3, *size), torch.randn(2, 4)
    whole = layer(torch.cat([code[:, :, None, None].expand(-1, -1, *size), maps], dim=1))
    assert torch.allclose(convolve_with_code(layer, maps, code), whole, atol=1e-5)


def test_evaluation_uses_the_stored_spectral_vectors() -> None:
    network = OasisGenerator(embedded_config(16, 32, 35)).eval()
    maps, noise = torch.rand(1, 35, 16, 32), torch.randn(1, 64)
    before = {k: v.clone() for k, v in network.state_dict().items()}
    with torch.no_grad():
        first = network(maps, noise)
        assert all(torch.equal(v, before[k]) for k, v in network.state_dict().items())
        network.body[2].conv_0.weight_u.mul_(2)  # sigma doubles
        assert not torch.allclose(network(maps, noise), first)


@pytest.mark.parametrize(("height", "width", "labels"), [(64, 128, 35), (64, 64, 183), (96, 96, 12)])
def test_embedded_network_is_small_and_fits_every_size(height: int, width: int, labels: int) -> None:
    network = OasisGenerator(embedded_config(height, width, labels))
    judge = OasisDiscriminator(embedded_discriminator(labels))
    with torch.no_grad():
        picture = network(torch.zeros(1, labels, height, width), torch.zeros(1, 64))
        assert picture.shape == (1, 3, height, width)
        assert judge(picture).shape == (1, labels + 1, height // 2, width // 2)
    assert sum(v.numel() for v in network.state_dict().values()) * 2 < 4e6


def test_patches_let_every_pixel_of_the_map_count() -> None:
    """At half size a map resized by nearest neighbour would lose three pixels of four."""
    torch.manual_seed(0)
    config = OasisConfig(5, (2, 2), (8, 8, 8), (8, 8), patch=2)
    network = OasisGenerator(config)
    maps, noise = one_hot(torch.randint(0, 5, (1, 8, 8)), 5), torch.randn(1, 64)
    with torch.no_grad():
        network(maps, noise)  # a power step: with the random first u and v tanh saturates
        network.eval()
        first = network(maps, noise)
        for y, x in ((4, 4), (4, 5), (5, 4), (5, 5)):
            changed = maps.clone()
            changed[0, :, y, x] = changed[0, :, y, x].roll(1)
            moved = (network(changed, noise) - first).abs().amax((0, 1))
            assert float(moved[4:6, 4:6].max()) > 0


def test_paper_discriminator_has_the_published_widths() -> None:
    with torch.device("meta"):
        judge = OasisDiscriminator(paper_discriminator(35))
    widths = [(b.conv_0.weight_orig.shape[1], b.conv_1.weight_orig.shape[0]) for b in (*judge.down, *judge.up)]
    assert widths[:6] == [(3, 128), (128, 128), (128, 256), (256, 256), (256, 512), (512, 512)]
    assert widths[6:] == [(512, 512), (1024, 256), (512, 256), (512, 128), (256, 128), (256, 64)]
    plain = [name for name, module in judge.named_modules() if isinstance(module, torch.nn.Conv2d)]
    assert plain == ["classify"]  # all others are spectrally normalised
    narrow = OasisDiscriminator(OasisDiscriminatorConfig(35, (4,) * 6, (4,) * 6))
    assert narrow(torch.zeros(1, 3, 128, 64)).shape == (1, 36, 128, 64)


@pytest.mark.parametrize("scale", [0.5, 2])
def test_residual_block_may_convolve_its_skip_at_the_smaller_size(scale: float) -> None:
    """The textbook order: repeat first, or average last, with all convolutions at the larger size."""
    torch.manual_seed(0)
    block = ResidualBlock(3, 5, scale).eval()
    x = torch.randn(2, 3, 8, 8)
    with torch.no_grad():
        large = F.interpolate(x, scale_factor=2) if scale > 1 else x
        inner = block.conv_0(F.leaky_relu(large, 0.2))
        expected = block.conv_s(large) + block.conv_1(F.leaky_relu(inner, 0.2))
        expected = F.avg_pool2d(expected, 2) if scale < 1 else expected
        assert torch.allclose(block(x), expected, atol=1e-5)
