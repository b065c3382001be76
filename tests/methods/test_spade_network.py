"""The generator computes what the published SPADE network computes, under the published names."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from bench.api.method import MethodContext
from bench.data.ade20k import ADE20K
from methods.common.semantic.maps import one_hot
from methods.spade.method import Spade, embedded_config, paper_config
from methods.spade.network import SpadeGenerator
from tests.methods.golden_helper import check, noisy_maps
from tests.methods.reference_fill import checksum, filled_state, with_widths

DATA = Path(__file__).parent / "data"
#: labels, doublings, size of the fixture, seed of the noise on its maps
CASES = {"cityscapes": (35, 6, (64, 128), 103), "coco": (183, 5, (32, 32), 113)}


@pytest.fixture(scope="module")
def golden() -> dict[str, np.ndarray]:
    """Labels, edges and outputs of the official network at base width 8, with the filled weights (`reference_fill`)."""
    with np.load(DATA / "spade_small.npz") as file:
        return dict(file)


def rows_of(network: torch.nn.Module) -> list[list]:
    return [[k, list(v.shape), str(v.dtype).removeprefix("torch.")] for k, v in network.state_dict().items()]


def clean_maps(dataset: str, golden: dict[str, np.ndarray]) -> torch.Tensor:
    """The official loader's channels: ids as they are, 255 (unlabelled in COCO-Stuff) as 182, edges last."""
    number = CASES[dataset][0]
    ids = torch.from_numpy(golden[f"{dataset}.label_raw"].astype(np.int64))
    edge = torch.from_numpy(golden[f"{dataset}.edge"])[:, None].float()
    return torch.cat([one_hot(torch.where(ids == 255, number - 1, ids), number), edge], dim=1)


@pytest.mark.parametrize(
    ("dataset", "height", "width", "parameters"),
    [("cityscapes", 256, 512, 93_048_003), ("coco", 256, 256, 97_480_899)],
)
def test_paper_network_has_the_published_rows(dataset: str, height: int, width: int, parameters: int) -> None:
    layout = json.loads((DATA / "spade_layout.json").read_text())
    labels, doublings, _, _ = CASES[dataset]
    with torch.device("meta"):
        generator = SpadeGenerator(paper_config(height, width, labels, doublings))
    assert rows_of(generator) == layout[dataset]
    assert sum(p.numel() for p in generator.parameters()) == parameters


def test_paper_network_for_ade20k_is_that_for_coco_on_151_channels() -> None:
    """`fc.weight` of the authors' file is [1024, 151, 3, 3] (NVlabs/SPADE issue 115)."""
    with torch.device("meta"):
        generator = Spade.build_network(MethodContext("ade20k", ADE20K, 256, 256, profile="paper"))
    rows = rows_of(generator)
    assert rows == with_widths(json.loads((DATA / "spade_layout.json").read_text())["coco"], {184: 151})
    assert dict((key, shape) for key, shape, _ in rows)["fc.weight"] == [1024, 151, 3, 3]


@pytest.mark.parametrize("case", ["clean", "noisy"])
@pytest.mark.parametrize("dataset", ["cityscapes", "coco"])
def test_output_and_early_stages_equal_the_official_ones(
    golden: dict[str, np.ndarray], dataset: str, case: str
) -> None:
    labels, doublings, size, seed = CASES[dataset]
    meta = json.loads(str(golden[f"{dataset}.meta"]))
    network = SpadeGenerator(paper_config(*size, labels, doublings, base=8)).eval()
    state = filled_state(rows_of(network))
    assert checksum(state) == pytest.approx(tuple(meta["fill_checksum"]), rel=1e-12)
    network.load_state_dict({k: torch.from_numpy(np.asarray(v)) for k, v in state.items()})
    taps: dict[str, torch.Tensor] = {}
    for name in ("fc", "head_0", "G_middle_0", "G_middle_1"):
        network.get_submodule(name).register_forward_hook(
            lambda module, inputs, output, name=name: taps.__setitem__(name, output.clone())
        )
    maps = clean_maps(dataset, golden)
    if case == "noisy":
        maps = torch.from_numpy(noisy_maps(maps.numpy(), seed))
    with torch.no_grad():
        output = network(maps)
    floor = meta["float32_vs_float64_maxabs"][case == "noisy"]
    found = {"out": output, **{f"tap {name}": value for name, value in taps.items()}}
    for quantity, ours in found.items():
        stem, _, tap = quantity.partition(" ")
        theirs = golden[f"{dataset}.{stem}_{case}" + (f".{tap}" if tap else "")]
        name = "output" if quantity == "out" else quantity
        check("SPADE generator", f"{dataset} {case}", name, ours, theirs, limit=5 * floor, floor=floor)


@pytest.mark.parametrize(("height", "width", "labels"), [(64, 128, 35), (64, 64, 183), (32, 48, 12)])
def test_embedded_network_is_small_and_fits_any_label_space(height: int, width: int, labels: int) -> None:
    network = SpadeGenerator(embedded_config(height, width, labels)).eval()
    assert sum(v.numel() for v in network.state_dict().values()) * 2 < 4e6
    with torch.no_grad():
        pictures = network(torch.rand(2, labels + 1, height, width))
    assert pictures.shape == (2, 3, height, width)
    assert pictures.abs().max() <= 1


def test_every_pixel_of_the_map_reaches_its_place_in_the_embedded_network() -> None:
    """The last block works at half size, yet moving one pixel's label changes the picture around it."""
    torch.manual_seed(0)
    network = SpadeGenerator(embedded_config(64, 64, 3))
    maps = one_hot(torch.zeros(1, 64, 64, dtype=torch.long), 4)
    with torch.no_grad():
        for _ in range(3):
            network(torch.rand(2, 4, 64, 64))  # power steps: with random u and v the picture would be saturated
        network.eval()
        plain = network(maps)
        for y, x in [(32, 32), (33, 32), (32, 33), (33, 33)]:
            changed = maps.clone()
            changed[0, :2, y, x] = torch.tensor([0.0, 1.0])
            moved = (network(changed) - plain).abs().amax((0, 1))
            assert moved[y, x] > 0
            if (y, x) != (32, 32):  # only this one is sampled by nearest neighbour at the coarser scales
                assert moved[:24].max() == 0
                assert moved[:, :24].max() == 0
