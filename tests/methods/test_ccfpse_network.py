"""Generator and encoder compute what the published CC-FPSE networks compute, under the published names."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from bench.api.method import MethodContext
from bench.checkpoints.catalogue import load_catalogue
from bench.data.ade20k import ADE20K
from methods.ccfpse.method import CcFpse, embedded_config, paper_config, paper_encoder
from methods.ccfpse.network import CcFpseEncoder, CcFpseGenerator
from methods.common.semantic.maps import one_hot
from tests.methods.golden_helper import check, noisy_maps
from tests.methods.reference_fill import checksum, filled_state, with_widths

DATA = Path(__file__).parent / "data"
UNUSED = load_catalogue().find("ccfpse", "cityscapes").unused
#: channels, size of the fixture, seed of the noise on its maps; Cityscapes has the deeper network
CASES = {"cityscapes": (36, (64, 128), 203), "coco": (184, (64, 64), 213)}


@pytest.fixture(scope="module")
def layout() -> dict[str, list]:
    """Rows (key, shape, dtype) of the official files and of the narrow ones behind the golden arrays, all keys."""
    return json.loads((DATA / "ccfpse_layout.json").read_text())


@pytest.fixture(scope="module")
def golden() -> dict[str, np.ndarray]:
    """Inputs and outputs of the official networks at base width 8, with the filled weights (`reference_fill`)."""
    with np.load(DATA / "ccfpse_small.npz") as file:
        return dict(file)


def unused(key: str) -> bool:
    """Whether the importer drops this key of a published file."""
    return any(re.search(pattern, key) for pattern in UNUSED)


def rows_of(network: torch.nn.Module) -> list[list]:
    return [[k, list(v.shape), str(v.dtype).removeprefix("torch.")] for k, v in network.state_dict().items()]


@pytest.mark.parametrize(("dataset", "size"), [("cityscapes", (256, 512)), ("coco", (256, 256))])
def test_paper_generator_has_the_published_rows_that_are_used(layout: dict, dataset: str, size: tuple) -> None:
    with torch.device("meta"):
        network = CcFpseGenerator(paper_config(*size, CASES[dataset][0], deep=dataset == "cityscapes"))
    published = layout[dataset]
    assert rows_of(network) == [row for row in published if not unused(row[0])]
    dropped = [row[0] for row in published if unused(row[0])]
    # the reference counts 84 without the batch counters, of which the seven blocks have three each
    assert len([key for key in dropped if not key.endswith("num_batches_tracked")]) == 84
    assert len(dropped) == 84 + 21


def test_paper_generator_for_ade20k_is_that_for_coco_on_151_channels(layout: dict) -> None:
    """xh-liu/CC-FPSE's test_ade.sh: COCO-Stuff's depth and no instances; 64 channels are the pyramid's."""
    with torch.device("meta"):
        network = CcFpse.build_network(MethodContext("ade20k", ADE20K, 256, 256, profile="paper"))
    widths = {184: 151, 184 + 64: 151 + 64, 9 * 184: 9 * 151}
    assert rows_of(network) == [row for row in with_widths(layout["coco"], widths) if not unused(row[0])]


def test_paper_encoder_has_the_published_rows(layout: dict) -> None:
    with torch.device("meta"):
        encoder = CcFpseEncoder(paper_encoder())
    assert rows_of(encoder) == layout["encoder"]
    assert sum(p.numel() for p in encoder.parameters()) == 10_463_424


def clean_maps(dataset: str, golden: dict[str, np.ndarray]) -> torch.Tensor:
    """The official loader's channels: ids as they are, 255 (unlabelled in COCO-Stuff) as 182, edges last."""
    number = CASES[dataset][0] - 1
    ids = torch.from_numpy(golden[f"{dataset}.label_raw"].astype(np.int64))
    edge = torch.from_numpy(golden[f"{dataset}.edge"])[:, None].float()
    return torch.cat([one_hot(torch.where(ids == 255, number - 1, ids), number), edge], dim=1)


@pytest.fixture(scope="module", params=["cityscapes", "coco"])
def filled(request: pytest.FixtureRequest, layout: dict, golden: dict[str, np.ndarray]) -> tuple[str, CcFpseGenerator]:
    """A data set and its narrow network with the filled weights."""
    dataset = request.param
    channels, size, _ = CASES[dataset]
    state = filled_state(layout[f"{dataset} small"])
    meta = json.loads(str(golden[f"{dataset}.meta"]))
    assert checksum(state) == pytest.approx(tuple(meta["fill_checksum"]), rel=1e-12)
    network = CcFpseGenerator(paper_config(*size, channels, deep=dataset == "cityscapes", base=8)).eval()
    network.load_state_dict({k: torch.from_numpy(np.asarray(v)) for k, v in state.items() if not unused(k)})
    return dataset, network


@pytest.mark.parametrize("case", ["clean", "noisy"])
def test_output_and_early_stages_equal_the_official_ones(
    filled: tuple[str, CcFpseGenerator], golden: dict[str, np.ndarray], case: str
) -> None:
    """The stages matter: with these weights the gates of `head_0` hardly reach the Cityscapes output."""
    dataset, network = filled
    seed = CASES[dataset][2]
    taps: dict[str, torch.Tensor] = {}
    hooks = []
    for name in ("fc", "labelenc6", "head_0", "G_middle_0", "G_middle_1"):
        hook = network.get_submodule(name).register_forward_hook(
            lambda module, inputs, output, name=name: taps.__setitem__(name, output.clone())
        )
        hooks.append(hook)
    maps = clean_maps(dataset, golden)
    if case == "noisy":
        maps = torch.from_numpy(noisy_maps(maps.numpy(), seed))
    with torch.no_grad():
        output = network(maps, torch.from_numpy(golden[f"{dataset}.z"])[: len(maps)])
    for hook in hooks:
        hook.remove()
    floor = json.loads(str(golden[f"{dataset}.meta"]))["float32_vs_float64_maxabs"][case == "noisy"]
    theirs = golden[f"{dataset}.out_{case}"]
    check("CC-FPSE generator", f"{dataset} {case}", "output", output[:1], theirs, limit=5 * floor, floor=floor)
    for name, ours in taps.items():
        theirs = golden[f"{dataset}.tap_{case}.{name}"]
        check("CC-FPSE generator", f"{dataset} {case}", f"tap {name}", ours, theirs, limit=5 * floor, floor=floor)


def test_encoder_equals_the_official_one(layout: dict, golden: dict[str, np.ndarray]) -> None:
    meta = json.loads(str(golden["encoder.meta"]))
    state = filled_state(layout["encoder small"])
    assert checksum(state) == pytest.approx(tuple(meta["fill_checksum"]), rel=1e-12)
    encoder = CcFpseEncoder(paper_encoder(base=8)).eval()
    encoder.load_state_dict({k: torch.from_numpy(np.asarray(v)) for k, v in state.items()})
    image = torch.from_numpy(golden["encoder.image_uint8"]).float() / 127.5 - 1
    with torch.no_grad():
        mean, log_variance = encoder(image)
    floor = max(meta["float32_vs_float64_maxabs"])
    for quantity, ours, theirs in (("mean", mean, "mu"), ("log variance", log_variance, "logvar")):
        check("CC-FPSE encoder", "image", quantity, ours, golden[f"encoder.{theirs}"], limit=5 * floor, floor=floor)


@pytest.mark.parametrize(("height", "width", "channels"), [(64, 128, 36), (64, 64, 184), (32, 48, 12)])
def test_embedded_network_is_small_and_fits_any_label_space(height: int, width: int, channels: int) -> None:
    config = embedded_config(height, width, channels)
    network = CcFpseGenerator(config).eval()
    assert sum(v.numel() for v in network.state_dict().values()) * 2 < 4e6
    with torch.no_grad():
        pictures = network(torch.rand(2, channels, height, width), torch.randn(2, config.latent))
    assert pictures.shape == (2, 3, height, width)


def test_pyramid_levels_double_and_see_fine_labels_everywhere() -> None:
    """Each level has the size of the blocks it conditions; a single pixel of the map reaches the finest level."""
    config = embedded_config(32, 64, 6)
    network = CcFpseGenerator(config).eval()
    maps = torch.zeros(1, 6, 32, 64)
    changed = maps.clone()
    changed[0, 2, 17, 33] = 1  # an odd pixel, which nearest-neighbour halving drops
    with torch.no_grad():
        levels, others = network.label_features(maps), network.label_features(changed)
    assert [tuple(level.shape[-2:]) for level in levels] == [(2, 4), (4, 8), (8, 16), (16, 32)]
    moved = (levels[-1] - others[-1]).abs().amax((0, 1))
    assert moved[8, 16] > 0
