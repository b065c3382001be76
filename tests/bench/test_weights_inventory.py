"""`bench weights` at the command line: what is installed, what is lacking, and whether it is whole."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from conftest import Answer
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from weights_fakes import CATALOGUE, save, state

from bench.checkpoints.catalogue import load_catalogue
from bench.checkpoints.importing import import_weights
from bench.checkpoints.inventory import inventory, verify_file

Cli = Callable[..., Answer]
GUIDE = Path(__file__).parents[2] / "docs" / "guide" / "weights.md"


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A weights file of the fake catalogue in a folder of its own."""
    monkeypatch.setenv("GESCO_BENCH_WEIGHTS", str(tmp_path / "user"))
    return import_weights(save(tmp_path / "a.pth", state()), "fake", "cityscapes", tmp_path / "user", CATALOGUE)


def rewrite(path: Path, **changes: torch.Tensor | None) -> None:
    """Replace tensors of a weights file, its metadata staying."""
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    tensors = {key: value.clone() for key, value in load_file(path).items()}
    for key, value in changes.items():
        tensors.pop(key.replace("__", "."), None)
        if value is not None:
            tensors[key.replace("__", ".")] = value
    save_file(tensors, path, metadata)


def test_the_list_tells_installed_from_missing_and_how_to_get_it(installed: Path) -> None:
    items = {(item.name, item.dataset): item for item in inventory(CATALOGUE)}
    there = items["fake", "cityscapes"]
    assert (there.state, there.path, there.licence) == ("installed", str(installed), "MIT")
    assert there.source is not None
    assert there.source.startswith("a.pth, sha256 ")
    assert there.sha256 is not None
    assert len(there.sha256) == 64
    lacking = items["other", "cityscapes"]
    assert lacking.state == "missing"
    assert lacking.command == "bench weights import other other.zip --dataset cityscapes"
    assert items["fake", "coco_stuff"].command == "bench weights import fake latest_net_G.pth --dataset coco_stuff"
    nowhere = items["bare", "cityscapes"]
    assert (nowhere.state, nowhere.command, nowhere.note) == ("missing", None, "nobody publishes it")
    assert items["gesco", "streets"].state == "packaged"


def test_the_guide_says_which_checkpoints_are_published() -> None:
    rows = [line.split("|")[1:-1] for line in GUIDE.read_text().splitlines() if line.startswith(("| |", "| `"))]
    datasets = re.findall("`(.+?)`", "".join(rows[0]))
    told = {
        (name, dataset)
        for names, *cells in rows[1:]
        for name in re.findall("`(.+?)`", names)
        for dataset, cell in zip(datasets, cells, strict=True)
        if cell.strip() == "yes"
    }
    assert told == {(entry.name, entry.dataset) for entry in load_catalogue().entries if entry.public}


def test_a_named_folder_comes_before_the_users(installed: Path, tmp_path: Path) -> None:
    mine = import_weights(tmp_path / "a.pth", "fake", "cityscapes", tmp_path / "mine", CATALOGUE)
    assert inventory(CATALOGUE, tmp_path / "mine")[0].path == str(mine)


def test_embedded_weights_that_are_lacking_are_listed_with_their_training(
    installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.api.weights.PACKAGED", (tmp_path / "no package",))
    lacking = next(item for item in inventory(CATALOGUE) if (item.name, item.dataset) == ("smis", "streets"))
    assert (lacking.state, lacking.command) == ("missing", "bench train smis --dataset streets")


def test_published_weights_that_metrics_read_as_they_are_stand_in_the_list(
    installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    items = {item.name: item for item in inventory(CATALOGUE)}
    assert items["maskformer"].dataset == "coco_stuff"
    for name, skipped in (("vgg16", "LPIPS[vgg] or DISTS"), ("inception", "FID[inception]"), ("maskformer", "mIoU"),
                          ("detr_resnet_50", "objects"), ("dpt_large", "depth")):  # fmt: skip
        item = items[name]
        assert item.state == "missing"
        assert item.note is not None
        assert item.note.startswith(f"without it {skipped} is skipped")
        assert item.command is not None
        assert str(tmp_path / "user") in item.command
    file = installed.with_name(items["vgg16"].file)
    file.write_bytes(b"weights")
    found = next(item for item in inventory(CATALOGUE) if item.name == "vgg16")
    assert (found.state, found.path, found.sha256) == ("installed", str(file), hashlib.sha256(b"weights").hexdigest())


def test_a_whole_file_verifies(installed: Path) -> None:
    verified = verify_file(installed, CATALOGUE)
    assert (verified.notes, verified.problems) == ((), ())


DAMAGE: dict[str, tuple[dict[str, torch.Tensor | None], str]] = {
    "another value": ({"fc__bias": torch.ones(4)}, "its content has changed"),
    "NaN": ({"fc__bias": torch.full((4,), torch.nan)}, "1 tensor(s) hold NaN or infinity: fc.bias"),
    "zero": (
        {"fc__weight": torch.zeros(4, 36, 3, 3), "conv__weight_orig": torch.zeros(4, 4, 3, 3)},
        "all its 2 weights",
    ),
    "negative variance": (
        {"norm__running_var": torch.full((4,), -1.0)},
        "running variances are negative: norm.running",
    ),
    "missing row": ({"fc__bias": None}, "missing fc.bias"),
    "missing counter": ({"norm__num_batches_tracked": None}, "missing norm.num_batches_tracked"),
    "one more row": ({"extra": torch.ones(1)}, "unexpected extra"),
    "another shape": ({"fc__bias": torch.ones(5)}, "shape fc.bias: the file has (5,), the network (4,)"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_found(installed: Path, damage: str) -> None:
    changes, message = DAMAGE[damage]
    rewrite(installed, **changes)
    assert any(problem.startswith(message) for problem in verify_file(installed, CATALOGUE).problems)


def test_changed_metadata_and_a_cut_file_are_found(installed: Path) -> None:
    data = installed.read_bytes()
    installed.write_bytes(data.replace(b"paper", b"papre", 1))
    assert "its content has changed" in verify_file(installed, CATALOGUE).problems[0]
    installed.write_bytes(data[:-5])
    assert "cannot be read" in verify_file(installed, CATALOGUE).problems[0]


def test_verify_at_the_command_line(cli: Cli, installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.checkpoints.catalogue.load_catalogue", lambda: CATALOGUE)
    monkeypatch.setattr("bench.api.weights.PACKAGED", ())
    answer = cli("weights", "verify", "fake")
    assert (answer.code, answer.err) == (0, "")
    assert answer.out == f"ok   {installed}\n1 file, 0 with problems\n"
    rewrite(installed, fc__bias=torch.ones(4))
    answer = cli("weights", "verify")
    assert answer.code == 1
    assert f"BAD  {installed}\n       its content has changed" in answer.out
    answer = cli("weights", "verify", "fkae")
    assert answer.code == 2
    assert "there is no weights file of 'fkae'; did you mean 'fake'?" in answer.err


def test_the_packages_own_weights_verify(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GESCO_BENCH_WEIGHTS", str(tmp_path))
    answer = cli("weights", "verify", "gesco", "smis", "streets_judge")
    assert answer.code == 0, answer.out
    assert "4 files, 0 with problems" in answer.out


def test_list_at_the_command_line(cli: Cli, installed: Path) -> None:
    answer = cli("weights", "list")
    assert answer.code == 0
    assert "bench weights import spade checkpoints.tar.gz --dataset cityscapes" in answer.out
    assert "https://github.com/xh-liu/CC-FPSE" in answer.out
    items = json.loads(cli("weights", "list", "--format", "json").out)
    assert {"name", "dataset", "size", "state", "file", "path", "sha256", "source", "licence", "command"} <= set(
        items[0]
    )
    pairs = {(item["name"], item["dataset"]) for item in items}
    names = ("spade", "ccfpse", "smis", "oasis", "sdm", "gesco")
    assert {(name, dataset) for name in names for dataset in ("cityscapes", "coco_stuff")} <= pairs
    assert {("drn_d_22", "cityscapes"), ("drn_d_105", "cityscapes"), ("gesco", "streets")} <= pairs


def test_import_at_the_command_line(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.checkpoints.catalogue.load_catalogue", lambda: CATALOGUE)
    out = tmp_path / "out"
    good = save(tmp_path / "a.pth", state())
    arguments = ("--dataset", "cityscapes", "--weights-dir", str(out))
    bad = save(tmp_path / "b.pth", state(fc__bias=None))
    answer = cli("weights", "import", "fake", str(bad), *arguments)
    assert (answer.code, answer.out) == (1, "")
    assert answer.err == (
        f"error: {bad} is not the checkpoint of fake for cityscapes: of 9 rows, 1 missing. Nothing was written\n"
        "  missing    fc.bias\n"
    )
    assert not out.exists()
    answer = cli("weights", "import", "fake", str(good), *arguments)
    assert (answer.code, answer.out) == (0, f"wrote {out / 'fake-cityscapes-256x512.safetensors'}\n")
    answer = cli("weights", "import", "fkae", str(good), *arguments)
    assert (answer.code, "did you mean 'fake'?" in answer.err) == (2, True)
