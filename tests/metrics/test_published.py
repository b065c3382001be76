"""Published weights: found where other packages left them, never another file; and what `bench weights list` says."""

from __future__ import annotations

import hashlib
import subprocess

import pytest
import torch

from bench.api.errors import MetricError
from metrics.evaluators.published import INCEPTION, LISTED, StandardFile, read_state

CONTENT = b"weights"
FILE = StandardFile("net-1a2b.pth", "https://example.org/net-1a2b.pth", hashlib.sha256(CONTENT).hexdigest())


@pytest.fixture(autouse=True)
def torch_home(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    return tmp_path / "torch"


def test_a_folder_the_users_folder_and_torchs_cache_are_searched_in_this_order(tmp_path, user_weights, torch_home):
    folders = [tmp_path / "named", user_weights, torch_home / "hub" / "checkpoints"]
    for folder in reversed(folders):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / FILE.file).write_bytes(CONTENT)
        assert FILE.find(tmp_path / "named") == folder / FILE.file


def test_a_file_with_another_content_is_refused(tmp_path):
    (tmp_path / FILE.file).write_bytes(b"other weights")
    with pytest.raises(MetricError, match=r"is not the published file.*example\.org"):
        FILE.find(tmp_path)


def test_published_names_end_with_their_digest():
    """Both names hold the first eight digits, by torch.hub's convention: a typing error would show."""
    assert INCEPTION.file.endswith(f"-{INCEPTION.sha256[:8]}.pth")


def test_nothing_in_a_file_is_executed(tmp_path):
    class Evil:
        def __reduce__(self):
            return (subprocess.run, (["touch", str(tmp_path / "executed")],))

    torch.save({"weight": torch.zeros(1), "evil": Evil()}, tmp_path / "evil.pth")
    with pytest.raises(MetricError, match="does not hold a network"):
        read_state(tmp_path / "evil.pth", "a network")
    assert not (tmp_path / "executed").exists()


def test_the_list_tells_what_is_skipped_and_what_to_type(user_weights):
    by_name = {one.name: one for one in LISTED}
    assert {"inception", "vgg16", "maskformer", "detr_resnet_50", "dpt_large"} <= set(by_name)
    assert by_name["vgg16"].note == "without it LPIPS[vgg] or DISTS is skipped"
    assert by_name["vgg16"].command == (
        f"curl --create-dirs -Lo {user_weights}/vgg16-397923af.pth https://download.pytorch.org/models/vgg16-397923af.pth"
    )
    assert by_name["maskformer"].command == (
        "hf download facebook/maskformer-resnet101-coco-stuff config.json model.safetensors preprocessor_config.json "
        f"--local-dir {user_weights}/maskformer-resnet101-coco-stuff"
    )
    assert by_name["maskformer"].find(None) is None
    file = user_weights / by_name["maskformer"].file
    file.parent.mkdir()
    file.write_bytes(CONTENT)
    assert by_name["maskformer"].find(None) == file
    assert by_name["dpt_large"].note == "without it depth is skipped on ade20k, camvid, cityscapes, coco_stuff"
