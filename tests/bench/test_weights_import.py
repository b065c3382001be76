"""Importing the authors' checkpoints: every container they publish in, and what is written."""

from __future__ import annotations

import argparse
import bz2
import dataclasses
import gzip
import hashlib
import json
import lzma
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor
from weights_fakes import CATALOGUE, save, saved_bytes, state, tarred, zipped

from bench.api.method import MethodContext
from bench.api.weights import read_record, weights_name
from bench.checkpoints.archives import CheckpointError
from bench.checkpoints.catalogue import Catalogue, Published, load_catalogue
from bench.checkpoints.importing import import_weights, remarks
from bench.checkpoints.inventory import verify_file
from bench.data.cityscapes import CITYSCAPES
from methods.gesco import Gesco
from methods.smis import Smis

WANTED = "checkpoints/cityscapes_pretrained/latest_net_G.pth"


def in_archive() -> dict[str, bytes]:
    """What an authors' archive holds: the same file name for several data sets, and other files."""
    return {
        "checkpoints/coco_pretrained/latest_net_G.pth": saved_bytes(state(184)),
        WANTED: saved_bytes(state()),
        "checkpoints/cityscapes_pretrained/opt.txt": b"ngf: 64",
    }


SETTINGS = argparse.Namespace(ngf=64, name="fake")
OPTIMISER = {"state": {0: {"exp_avg": torch.ones(3), "step": torch.tensor(5.0)}}, "param_groups": [{"lr": 1e-4}]}


def packed(path: Path, pack: Callable[[bytes], bytes], source: Path) -> Path:
    """A file packed by itself, without an archive around it."""
    path.write_bytes(pack(source.read_bytes()))
    return path


CONTAINERS: dict[str, Callable[[Path], Path]] = {
    "zip format": lambda folder: save(folder / "a.pth", state()),
    "stream of pickles": lambda folder: save(folder / "a.pth.tar", state(), stream=True),
    "safetensors": lambda folder: (save_file(state(), folder / "a.safetensors"), folder / "a.safetensors")[1],
    "tar.gz": lambda folder: tarred(folder / "checkpoints.tar.gz", in_archive()),
    "tar": lambda folder: tarred(folder / "checkpoints.tar", in_archive(), "w"),
    "zip": lambda folder: zipped(folder / "checkpoints.zip", in_archive()),
    "zip with one checkpoint of another name": lambda folder: zipped(
        folder / "a.zip", {"epoch_200.pth": saved_bytes(state()), "readme.md": b"#"}
    ),
    "training checkpoint": lambda folder: save(folder / "a.pth", {"epoch": 3, "state_dict": state()}),
    "parallel": lambda folder: save(folder / "a.pth", {f"module.{k}": v for k, v in state().items()}),
    "any wrapper": lambda folder: save(folder / "a.pth", {"model_state_dict": state(), "optimizer": OPTIMISER}),
    "wrapper in a wrapper": lambda folder: save(folder / "a.pth", {"model": {"ema": state()}, "step": torch.tensor(3)}),
    "the one state dict that fits": lambda folder: save(folder / "a.pth", {"netD": state(7), "netG": state()}),
    "settings beside the tensors": lambda folder: save(folder / "a.pth", {**state(), "epoch": 3, "args": SETTINGS}),
    "settings beside the state dict": lambda folder: save(
        folder / "a.pth", {"state_dict": state(), "args": SETTINGS}, stream=True
    ),
    "a prefix": lambda folder: save(folder / "a.pth", {f"net.{k}": v for k, v in state().items()}),
    "two prefixes": lambda folder: save(folder / "a.pth", {f"module.net.{k}": v for k, v in state().items()}),
    "pth.gz": lambda folder: packed(folder / "a.pth.gz", gzip.compress, save(folder / "a.pth", state())),
    "older pth.bz2": lambda folder: packed(
        folder / "a.bz2", bz2.compress, save(folder / "a.pth", state(), stream=True)
    ),
    "safetensors.xz": lambda folder: (
        save_file(state(), folder / "a"),
        packed(folder / "a.xz", lzma.compress, folder / "a"),
    )[1],
    "half precision": lambda folder: save(folder / "a.pth", {k: half(v) for k, v in state().items()}),
    "parameters": lambda folder: save(folder / "a.pth", {k: parameter(v) for k, v in state().items()}),
    "without counters": lambda folder: save(folder / "a.pth", state(norm__num_batches_tracked=None)),
}


def half(tensor: Tensor) -> Tensor:
    return tensor.half() if tensor.is_floating_point() else tensor


def parameter(tensor: Tensor) -> Tensor:
    return torch.nn.Parameter(tensor) if tensor.is_floating_point() else tensor


@pytest.mark.parametrize("container", CONTAINERS)
def test_every_container_gives_the_same_weights(container: str, tmp_path: Path) -> None:
    source = CONTAINERS[container](tmp_path)
    path = import_weights(source, "fake", "cityscapes", tmp_path / "out", CATALOGUE)
    assert path == tmp_path / "out" / "fake-cityscapes-256x512.safetensors"
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    written, expected = load_file(path), state()
    assert {key: (value.shape, value.dtype) for key, value in written.items()} == {
        key: (value.shape, value.dtype) for key, value in expected.items()
    }
    for key, value in expected.items():
        same = half(value).to(value.dtype) if container == "half precision" else value
        assert torch.equal(written[key], same), key


def test_the_manifest_tells_where_weights_come_from(tmp_path: Path) -> None:
    source = CONTAINERS["tar.gz"](tmp_path)
    path = import_weights(source, "fake", "cityscapes", tmp_path / "out", CATALOGUE)
    with safe_open(path, framework="pt") as file:
        manifest = json.loads(file.metadata()["manifest"])
    assert manifest["source_sha256"] == hashlib.sha256(source.read_bytes()).hexdigest()
    expected = {
        "method": "fake",
        "dataset": "cityscapes",
        "size": [256, 512],
        "profile": "paper",
        "configuration": {"channels": 36, "width": 4},
        "source": "checkpoints.tar.gz",
        "source_entry": WANTED,
        "dropped_rows": 0,
        "licence": "MIT",
        "page": "https://example.org",
    }
    assert {key: manifest[key] for key in expected} == expected
    assert {"date", "tool"} <= set(manifest)


def test_numbers_of_half_precision_are_recorded_and_told(tmp_path: Path) -> None:
    for kind, error in (("float16", "5e-4"), ("bfloat16", "2e-3")):
        rows = {k: v.to(getattr(torch, kind)) if v.is_floating_point() else v for k, v in state().items()}
        path = import_weights(save(tmp_path / "a.pth", rows), "fake", "cityscapes", tmp_path / "out", CATALOGUE)
        manifest = read_record(path, "manifest")
        assert manifest["source_types"] == {kind: 8, "int64": 1}
        (remark,) = remarks(manifest)
        assert f"8 of its 9 tensors were {kind} in the authors' file: rounded by up to {error}" in remark
        assert verify_file(path, CATALOGUE).notes == (remark,)
    path = import_weights(save(tmp_path / "a.pth", state()), "fake", "cityscapes", tmp_path / "out", CATALOGUE)
    assert remarks(read_record(path, "manifest")) == []


def test_of_several_state_dicts_one_is_named(tmp_path: Path) -> None:
    other = state(fc__bias=torch.ones(4))
    source = save(tmp_path / "a.pth", {"model": state(), "ema": other, "epoch": 3})
    with pytest.raises(
        CheckpointError, match=r"holds 2 state dicts: 'model' \(9 tensors\), 'ema' \(9 tensors\).*--key model"
    ):
        import_weights(source, "fake", "cityscapes", tmp_path / "out", CATALOGUE)
    path = import_weights(source, "fake", "cityscapes", tmp_path / "out", CATALOGUE, "ema")
    assert torch.equal(load_file(path)["fc.bias"], torch.ones(4))
    assert remarks(read_record(path, "manifest")) == ["taken from 'ema' in the file"]
    with pytest.raises(CheckpointError, match=r"has no state dict under 'emma'; it has model, ema"):
        import_weights(source, "fake", "cityscapes", tmp_path / "out", CATALOGUE, "emma")


def test_networks_side_by_side_are_told_by_their_prefix(tmp_path: Path) -> None:
    both = {**{f"generator.{k}": v for k, v in state().items()}, "discriminator.fc.weight": torch.ones(2, 2)}
    with pytest.raises(
        CheckpointError, match=r"of its 10 keys are this network's behind 'generator.'.*save those alone"
    ):
        import_weights(save(tmp_path / "a.pth", both), "fake", "cityscapes", tmp_path / "out", CATALOGUE)


def test_rows_that_the_authors_never_use_are_dropped_and_counted(tmp_path: Path) -> None:
    rows = {"fc.weight": torch.rand(4, 36, 3, 3), "fc.bias": torch.rand(4), "spare.weight": torch.rand(2)}
    path = import_weights(save(tmp_path / "a.pth", rows), "other", "cityscapes", tmp_path, CATALOGUE)
    with safe_open(path, framework="pt") as file:
        assert set(file.keys()) == {"fc.weight", "fc.bias"}
        assert json.loads(file.metadata()["manifest"])["dropped_rows"] == 1


def as_published(method: type[Smis] | type[Gesco], context: MethodContext) -> Catalogue:
    """A catalogue in which a method's paper network is its small one, the rest being the real entry's."""
    real = load_catalogue().find(method.name, "cityscapes")
    file = weights_name(method.name, context)
    small: Published = dataclasses.replace(
        real,
        dataset="streets",
        file=file,
        size=(32, 64),
        profile="embedded",
        build=lambda: method.build_network(context),
    )
    return Catalogue((small,))


def test_a_method_runs_on_what_was_imported(tmp_path: Path) -> None:
    context = MethodContext("streets", CITYSCAPES, 32, 64, weights_dir=tmp_path / "out")
    network = Smis.build_network(context).eval()
    source = save(tmp_path / "latest_net_G.pth", network.state_dict(), stream=True)
    import_weights(source, "smis", "streets", tmp_path / "out", as_published(Smis, context))
    method = Smis(context)
    maps = torch.rand(1, 36, 32, 64, generator=torch.Generator().manual_seed(1))
    latent = torch.randn(method.latent_shape(), generator=torch.Generator().manual_seed(2))
    with torch.inference_mode():
        expected = (network(maps, latent[None]) + 1) / 2
    picture = method.generate(maps, [torch.Generator().manual_seed(2)])
    assert (picture - expected).abs().max() < 1e-5  # float32 weights; another memory format


def test_gescos_files_hold_views_of_one_vector_and_unused_norms(tmp_path: Path) -> None:
    """The guided-diffusion family saves slices of one flat parameter; safetensors refuses shared memory."""
    context = MethodContext("streets", CITYSCAPES, 32, 64, weights_dir=tmp_path / "out")
    shapes = {key: value.shape for key, value in Gesco.build_network(context).state_dict().items()}
    shapes["input_blocks.1.0.spade_norm.mlp_beta.bias"] = torch.Size([32])
    flat = torch.randn(sum(shape.numel() for shape in shapes.values()))
    parts = flat.split([shape.numel() for shape in shapes.values()])
    rows = {key: part.view(shape) for (key, shape), part in zip(shapes.items(), parts, strict=True)}
    source = save(tmp_path / "Cityscapes_ema_0.9999_190000.pt", rows)
    path = import_weights(source, "gesco", "streets", tmp_path / "out", as_published(Gesco, context))
    written = load_file(path)
    assert set(rows) - set(written) == {"input_blocks.1.0.spade_norm.mlp_beta.bias"}
    assert all(torch.equal(value, rows[key]) for key, value in written.items())
    assert Gesco(context).weights.path == path


def test_a_published_judge_is_imported_at_its_real_size(tmp_path: Path) -> None:
    from metrics.evaluators.segmenters.drn import DrnSegmenter, build_drn

    torch.manual_seed(0)
    network = build_drn("drn_d_22")
    source = save(tmp_path / "drn_d_22_cityscapes.pth", network.state_dict(), stream=True)
    path = import_weights(source, "drn_d_22", "cityscapes", tmp_path / "out", load_catalogue())
    assert path.name == "drn_d_22-cityscapes.safetensors"
    judge = DrnSegmenter.load("drn_d_22", "generated", tmp_path / "out", torch.device("cpu"))
    assert judge.predict(torch.rand(1, 3, 16, 16)).shape == (1, 16, 16)


def test_every_entry_of_the_catalogue_builds_without_memory_or_says_why_not() -> None:
    for entry in load_catalogue().entries:
        if entry.public:
            assert sum(torch.Size(shape).numel() for shape, _ in entry.rows.values()) > 15e6, entry.name
            assert entry.files
            assert entry.page.startswith("https://")
        assert entry.public or entry.note
