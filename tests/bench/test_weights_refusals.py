"""What is refused: each with a message that names the reason, and nothing written or executed."""

from __future__ import annotations

import argparse
import gzip
import os
import pickle
import stat
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor
from weights_fakes import CATALOGUE, save, saved_bytes, state, tarred, zipped

from bench.api.errors import UsageError
from bench.checkpoints import archives
from bench.checkpoints.archives import CheckpointError
from bench.checkpoints.catalogue import load_catalogue, recognise
from bench.checkpoints.importing import import_weights
from bench.checkpoints.inventory import inventory
from tests.methods.diffusion_golden import layout, with_map_channels


class Caller:
    """Pickles to a call of `os.system` that would leave a trace."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Callable[..., int], tuple[str]]:
        return os.system, (f"touch {self.trace}",)


def cut(path: Path, keep: float) -> Path:
    """The first part of a file."""
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * keep)])
    return path


def refusal(source: Path, folder: Path, name: str = "fake", dataset: str = "cityscapes") -> CheckpointError:
    """The error of an import, after which the folder it would have written to is not even there."""
    out = folder / "out"
    before = sorted(folder.iterdir())
    with pytest.raises(CheckpointError) as caught:
        import_weights(source, name, dataset, out, CATALOGUE)
    assert sorted(folder.iterdir()) == before
    assert not out.exists()
    return caught.value


@pytest.mark.parametrize("stream", [False, True], ids=["zip format", "stream of pickles"])
@pytest.mark.parametrize("protocol", [2, 4])
def test_a_pickle_that_calls_a_function_is_refused_by_name(tmp_path: Path, stream: bool, protocol: int) -> None:
    trace = tmp_path / "trace"
    source = tmp_path / "a.pth"
    content = {**state(), "extra": Caller(trace)}
    torch.save(content, source, pickle_protocol=protocol, _use_new_zipfile_serialization=not stream)
    message = str(refusal(source, tmp_path))
    assert f"{os.name}.system" in message
    assert "Nothing was executed, nothing was written" in message
    assert not trace.exists()


@pytest.mark.parametrize("protocol", range(6))
def test_a_plain_pickle_with_a_call_is_refused_by_name(tmp_path: Path, protocol: int) -> None:
    trace = tmp_path / "trace"
    source = tmp_path / "a.pkl"
    source.write_bytes(pickle.dumps({"fc.weight": Caller(trace)}, protocol))
    assert f"{os.name}.system" in str(refusal(source, tmp_path))
    assert not trace.exists()


def test_a_call_inside_an_archive_is_refused_too(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    archive = zipped(tmp_path / "a.zip", {"cityscapes_pretrained/latest_net_G.pth": saved_bytes([Caller(trace)])})
    assert f"{os.name}.system" in str(refusal(archive, tmp_path))
    assert not trace.exists()


@pytest.mark.parametrize("kept", ["checkpoint", "archive"])
@pytest.mark.parametrize("field", range(42, 46), ids=lambda field: f"byte {field} of an entry")
def test_a_zip_whose_directory_points_elsewhere_is_damaged(tmp_path: Path, kept: str, field: int) -> None:
    """The offsets of entries, at the end of a zip's directory records, lead before the file or beyond it."""
    source = save(tmp_path / "a.pth", state())
    if kept == "archive":
        source = zipped(tmp_path / "a.zip", {"cityscapes_pretrained/latest_net_G.pth": source.read_bytes()})
    raw = bytearray(source.read_bytes())
    place = raw.find(b"PK\x01\x02")
    while place >= 0:
        raw[place + field] ^= 0x91
        place = raw.find(b"PK\x01\x02", place + 1)
    source.write_bytes(raw)
    assert "damaged" in str(refusal(source, tmp_path)) or "truncated" in str(refusal(source, tmp_path))


@pytest.mark.parametrize("keep", [0.02, 0.3, 0.97])
@pytest.mark.parametrize("kind", ["zip format", "stream", "safetensors", "tar.gz", "zip"])
def test_a_truncated_file_is_called_truncated(tmp_path: Path, kind: str, keep: float) -> None:
    members = {"cityscapes_pretrained/latest_net_G.pth": saved_bytes(state())}
    if kind == "safetensors":
        source = tmp_path / "a.safetensors"
        save_file(state(), source)
    elif kind in ("zip format", "stream"):
        source = save(tmp_path / "a.pth", state(), stream=kind == "stream")
    else:
        source = (zipped if kind == "zip" else tarred)(tmp_path / f"a.{kind}", members)
    assert "truncated" in str(refusal(cut(source, keep), tmp_path))


def test_a_flipped_bit_in_pytorchs_zip_format_is_found(tmp_path: Path) -> None:
    source = save(tmp_path / "a.pth", state())
    with zipfile.ZipFile(source) as opened:
        entry = next(info for info in opened.infolist() if info.filename.endswith("/data/0"))
    data = bytearray(source.read_bytes())
    names = struct.unpack("<HH", data[entry.header_offset + 26 : entry.header_offset + 30])
    data[entry.header_offset + 30 + sum(names)] ^= 1
    source.write_bytes(data)
    assert f"the checksum of {entry.filename} is wrong" in str(refusal(source, tmp_path))


def test_the_wrong_data_sets_checkpoint_is_named_with_its_channels(tmp_path: Path) -> None:
    error = refusal(save(tmp_path / "a.pth", state(184)), tmp_path)
    assert "it is that of fake for coco_stuff (184 conditioning channels; cityscapes has 36)" in str(error)
    assert str(error).endswith(f"bench weights import fake {tmp_path / 'a.pth'} --dataset coco_stuff")
    assert error.details == ()


def test_the_wrong_methods_checkpoint_is_named(tmp_path: Path) -> None:
    error = refusal(save(tmp_path / "a.pth", state()), tmp_path, "other")
    assert "is not the checkpoint of other for cityscapes: it is that of fake for cityscapes" in str(error)


def test_a_fork_that_shares_every_used_row_is_told_by_the_unused_ones(tmp_path: Path) -> None:
    """As with SDM and GESCO: GESCO's files have norms that nothing uses, SDM's have not."""
    rows = {"fc.weight": torch.rand(4, 36, 3, 3), "fc.bias": torch.rand(4)}
    assert "it is that of bare" in str(refusal(save(tmp_path / "a.pth", rows), tmp_path, "other"))
    rows["spare.weight"] = torch.rand(2)
    assert "it is that of other" in str(refusal(save(tmp_path / "b.pth", rows), tmp_path, "bare"))


def test_the_file_that_gescos_authors_offer_for_coco_is_told_to_be_that_for_ade20k() -> None:
    catalogue = load_catalogue()
    rows = with_map_channels(layout("paper"), 151)  # ispamm/GESCO issue 8
    offered = {key: torch.empty(shape, device="meta") for key, shape in rows}
    other = recognise(offered, catalogue.find("gesco", "coco_stuff"), catalogue)
    assert other is not None
    assert other.command() == "bench weights import gesco FILE --dataset ade20k"


def test_another_number_of_labels_is_explained(tmp_path: Path) -> None:
    error = refusal(save(tmp_path / "a.pth", state(151)), tmp_path)
    assert "it takes 151 conditioning channels, ADE20K's labels; this network takes 36" in str(error)
    assert error.details == ("shape      fc.weight: the file has (4, 151, 3, 3), the network (4, 36, 3, 3)",)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("container", ["safetensors", "pth"])
def test_values_that_are_not_finite_are_refused_by_tensor(tmp_path: Path, value: float, container: str) -> None:
    tensors = state(fc__bias=torch.full((4,), value))
    source = tmp_path / f"a.{container}"
    save_file(tensors, source) if container == "safetensors" else save(source, tensors)
    error = refusal(source, tmp_path)
    assert f"1 of its {len(tensors)} tensors hold NaN or infinity" in str(error)
    assert error.details == ("fc.bias",)


@pytest.mark.parametrize("name", ["../evil.pth", "/etc/evil.pth", "a/../../evil.pth", "..\\evil.pth", "C:\\evil.pth"])
@pytest.mark.parametrize("pack", [zipped, tarred])
def test_an_archive_with_an_entry_outside_its_folder_is_refused(
    tmp_path: Path, name: str, pack: Callable[[Path, dict[str, bytes]], Path]
) -> None:
    members = {"cityscapes_pretrained/latest_net_G.pth": saved_bytes(state()), name: b"evil"}
    message = str(refusal(pack(tmp_path / "archive", members), tmp_path))
    assert "lies outside its folder" in message
    assert "evil.pth" in message


def test_an_archive_with_a_link_is_refused(tmp_path: Path) -> None:
    members = {"cityscapes_pretrained/latest_net_G.pth": saved_bytes(state())}
    error = refusal(tarred(tmp_path / "a.tar.gz", members, link="cityscapes_pretrained/opt.txt"), tmp_path)
    assert "its entry 'cityscapes_pretrained/opt.txt' is a link or a device" in str(error)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        link = zipfile.ZipInfo("cityscapes_pretrained/latest_net_G.pth")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
    assert "is a link or a device" in str(refusal(tmp_path / "a.zip", tmp_path))


def test_archives_that_unpack_to_too_much_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = {"cityscapes_pretrained/latest_net_G.pth": bytes(80 * 2**20)}  # 80 KB in the archive
    message = str(refusal(zipped(tmp_path / "a.zip", bomb), tmp_path))
    assert "has more than 64 MiB, too many for this network" in message
    monkeypatch.setattr(archives, "ARCHIVE_LIMIT", 2**20)
    for pack in (zipped, tarred):
        assert "unpacks to more than" in str(refusal(pack(tmp_path / "b", {"x.pth": bytes(2**21)}), tmp_path))


def test_an_unclear_choice_lists_the_checkpoints(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "a.zip", {"one/a.pth": b"1", "two/b.pth": b"2", "readme": b""})
    error = refusal(archive, tmp_path)
    assert "it should hold cityscapes_pretrained/latest_net_G.pth; it holds 2 checkpoints" in str(error)
    assert error.details == ("one/a.pth", "two/b.pth")


ROWS: dict[str, tuple[dict[str, Tensor | None], str, tuple[str, ...]]] = {
    "missing": ({"fc__bias": None, "conv__weight_u": None}, "of 9 rows, 2 missing", ("fc.bias", "conv.weight_u")),
    "unexpected": ({"extra__weight": torch.zeros(2)}, "of 9 rows, 1 unexpected", ("extra.weight",)),
    "shape": ({"fc__bias": torch.zeros(5)}, "1 of another shape", ("fc.bias: the file has (5,), the network (4,)",)),
    "type": (
        {"fc__bias": torch.zeros(4, dtype=torch.int64)},
        "1 of another type",
        ("fc.bias: the file has int64, the network float32",),
    ),
}


@pytest.mark.parametrize("kind", ROWS)
def test_rows_that_do_not_fit_are_listed(tmp_path: Path, kind: str) -> None:
    changes, message, lines = ROWS[kind]
    error = refusal(save(tmp_path / "a.pth", state(**changes)), tmp_path)
    assert message in str(error)
    assert error.details == tuple(f"{kind:<10} {line}" for line in lines)


def test_a_long_list_is_cut_with_its_count(tmp_path: Path) -> None:
    extra = {f"extra{i}": torch.zeros(1) for i in range(30)}
    error = refusal(save(tmp_path / "a.pth", {**state(), **extra}), tmp_path)
    assert "30 unexpected" in str(error)
    assert len(error.details) == 21
    assert error.details[-1] == "unexpected and 10 more"


NOT_A_CHECKPOINT: dict[str, tuple[bytes, str]] = {
    "web page": (b"<!DOCTYPE html><html>Google Drive", "is a web page, not a checkpoint"),
    "empty": (b"", "is empty"),
    "text": (b"hello, this is a text file\n" * 30, "neither a checkpoint nor an archive"),
    "list": (saved_bytes([1, 2]), "holds a list, not a state dict"),
    "numbers": (saved_bytes({"lr": 1.0, "epoch": 3}), "lr, epoch hold no tensors"),
    "nothing": (saved_bytes({}), "it is empty"),
}


@pytest.mark.parametrize("kind", NOT_A_CHECKPOINT)
def test_what_is_no_checkpoint_is_said_to_be_none(tmp_path: Path, kind: str) -> None:
    data, message = NOT_A_CHECKPOINT[kind]
    (tmp_path / "a.pth").write_bytes(data)
    assert message in str(refusal(tmp_path / "a.pth", tmp_path))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (
            {"norm__running_var": torch.tensor([1.0, -1e-3, 1.0, 1.0])},
            "running variances are negative: norm.running_var",
        ),
        ({k.replace(".", "__"): torch.zeros_like(v) for k, v in state().items()}, "all its 2 weights are zero"),
    ],
)
def test_values_that_no_training_gives_are_refused(tmp_path: Path, changes: dict[str, Tensor], told: str) -> None:
    assert told in str(refusal(save(tmp_path / "a.pth", state(**changes)), tmp_path))


@pytest.mark.parametrize("keep", [0.3, 0.97])
def test_a_packed_checkpoint_that_is_damaged_or_too_large_is_refused(tmp_path: Path, keep: float) -> None:
    save(tmp_path / "a.pth", state())
    source = tmp_path / "b.pth.gz"
    source.write_bytes(gzip.compress((tmp_path / "a.pth").read_bytes()))
    assert "truncated or damaged" in str(refusal(cut(source, keep), tmp_path))
    source.write_bytes(gzip.compress(b"PK" + bytes(80 * 2**20)))
    assert "unpacks to more than 64 MiB" in str(refusal(source, tmp_path))


def test_settings_that_would_call_something_are_refused_beside_the_tensors(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    content = {"state_dict": state(), "args": argparse.Namespace(hook=Caller(trace))}
    assert f"{os.name}.system" in str(refusal(save(tmp_path / "a.pth", content), tmp_path))
    assert not trace.exists()


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.pth")
    assert "is a pipe or a device, not a file" in str(refusal(tmp_path / "a.pth", tmp_path))
    os.mkfifo(tmp_path / "b.safetensors")
    assert not [item for item in inventory(CATALOGUE, tmp_path) if item.file == "b.safetensors"]


def test_a_folder_that_cannot_hold_weights_is_named_before_anything_is_read(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("nowhere")
    for name, told in (
        ("file", "takes a folder; .*file is a file"),
        ("file/below", "would lie below .*file, which is a file"),
        ("link", "is a link to nowhere, which does not exist"),
    ):
        with pytest.raises(UsageError, match=f"--weights-dir.* {told}"):
            import_weights(tmp_path / "absent.pth", "fake", "cityscapes", tmp_path / name, CATALOGUE)


def test_paths_that_are_no_files_are_named(tmp_path: Path) -> None:
    assert "there is no file" in str(refusal(tmp_path / "absent.pth", tmp_path))
    assert "is a folder" in str(refusal(tmp_path, tmp_path))


def test_the_real_catalogue_tells_spades_data_sets_and_methods_apart(tmp_path: Path) -> None:
    """Paper-size rows without paper-size files: every tensor is one number, expanded."""
    catalogue = load_catalogue()
    rows = catalogue.find("drn_d_105", "cityscapes").rows
    source = save(tmp_path / "a.pth", {key: torch.zeros((), dtype=t).expand(shape) for key, (shape, t) in rows.items()})
    assert source.stat().st_size < 2**20
    for name, dataset in (("drn_d_22", "cityscapes"), ("gesco", "coco_stuff")):
        with pytest.raises(CheckpointError, match="it is that of drn_d_105 for cityscapes"):
            import_weights(source, name, dataset, tmp_path / "out", catalogue)
    with pytest.raises(CheckpointError, match="SMIS has no COCO-Stuff model"):
        import_weights(source, "smis", "coco_stuff", tmp_path / "out", catalogue)
    assert not (tmp_path / "out").exists()


def test_unknown_names_are_answered_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="did you mean 'gesco'"):
        import_weights(Path("x"), "gecso", "cityscapes", Path("out"), load_catalogue())
    with pytest.raises(UsageError, match="did you mean 'coco_stuff'"):
        import_weights(Path("x"), "spade", "coco", Path("out"), load_catalogue())
