"""`SemanticMethod`: the sender and the first half of the receiver that all semantic methods share.

Sender: label map -> one-hot maps (+ instance edges) -> drop absent classes -> codec -> symbols.
Receiver: FDS (if on) -> zero maps for the dropped classes -> a decision (if hard) -> the method's own `generate`.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, get_args

import numpy as np

from bench.api.errors import MethodError
from bench.api.lazy import Tensor, torch
from bench.api.method import Method, MethodContext, Received, Transmission
from bench.api.scenes import Scene
from methods.common.semantic.codec import CARRIED, CODECS, read_map, write_map
from methods.common.semantic.maps import (
    DECISIONS,
    POOLS,
    Edges,
    check_labels,
    decided,
    fast_denoise,
    keep_channels,
    one_hot,
    pack_labels,
    present_labels,
    restore_channels,
    scene_edges,
    scene_maps,
    unpack_labels,
)


class SemanticMethod(Method):
    """A method that transmits semantic maps. Subclasses implement `generate`.

    Options: `fds` puts GESCO's FDS block behind the channel, `pool` (of `maps.POOLS`) says what is in it; `decision`
    (of `maps.DECISIONS`, not in the paper) is "hard" where the receiver decides for one class a pixel; `drop_absent`
    sends only the classes that occur (the list of kept classes is side information, a bit mask in whole bytes);
    `codec` names an entry of `CODECS`; `edges` is where the edge channel comes from, "instances" or "clipped" (see
    `maps.Edges`), "auto" being what the method's networks were trained on.
    The spec modifiers `+fds` and `-fds`/`-nofds` set `fds` (and `+fds` also `drop_absent`: GESCO's whole sender).
    """

    semantic_options: ClassVar[Mapping[str, Any]] = {
        "fds": False,
        "drop_absent": False,
        "codec": "png1",
        "edges": "auto",
        "pool": "avg-max",
        "decision": "soft",
    }
    digital_options: ClassVar[Mapping[str, Any]] = {"codec": "label-ctx"}
    #: False for networks that take no instance-edge channel on any data set (OASIS)
    uses_edges: ClassVar[bool] = True

    def __init__(self, context: MethodContext, options: Mapping[str, Any] | None = None) -> None:
        super().__init__(context, {**self.semantic_options, **self.default_options, **(options or {})})
        choices = {"codec": CODECS, "pool": POOLS, "decision": DECISIONS, "edges": ("auto", *get_args(Edges))}
        for option, valid in choices.items():
            self.check_choice(option, valid)
        if self.options["edges"] == "auto":
            self.options["edges"] = self.auto_edges(context)

    @classmethod
    def auto_edges(cls, context: MethodContext) -> Edges:
        """Where the edges come from if the options leave it open."""
        return "instances"

    @property
    def with_edges(self) -> bool:
        """Whether the full map has the edge channel: method and data set have to have it."""
        return self.uses_edges and self.context.label_space.edges

    @property
    def num_channels(self) -> int:
        """Channels of the full map: label ids plus the edge channel."""
        return self.context.label_space.size + int(self.with_edges)

    def send(self, scene: Scene) -> Transmission:
        """One-hot maps and edges of the scenes, absent classes dropped, through the codec (paper, section 3.2)."""
        num_labels = self.context.label_space.size
        maps = scene_maps(scene, self.options["edges"]) if self.with_edges else one_hot(scene.labels, num_labels)
        symbols, side_info, bits = [], [], []
        for one, labels in zip(maps, scene.labels, strict=True):
            header = b""
            if self.options["drop_absent"]:
                header = pack_labels(present_labels(labels, num_labels), num_labels)
            kept = self.sent_channels(header)
            classes = len(kept) - int(self.with_edges)
            encoded = CODECS[self.options["codec"]](keep_channels(one, kept).numpy(), classes)
            symbols.append(torch.from_numpy(encoded.decoded))
            side_info.append(header)
            bits.append(encoded.bits)
        return Transmission(tuple(symbols), tuple(side_info), tuple(bits))

    def encode(self, scene: Scene, room: int | None = None) -> tuple[bytes | None, ...]:
        """Label map and edges of each scene as one payload, every label in it, by `codec`; None without room."""
        codec, labels = self.options["codec"], self.context.label_space.size
        if codec not in CARRIED:
            raise MethodError(f"codec '{codec}' is no single map: a digital link carries {', '.join(CARRIED)}")
        check_labels(scene.labels, labels)
        edges = scene_edges(scene, self.options["edges"])[:, 0].numpy() if self.with_edges else [None] * len(scene)
        payloads = (
            write_map(codec, label_map.numpy(), edge_map, labels)
            for label_map, edge_map in zip(scene.labels, edges, strict=True)
        )
        return tuple(p if room is None or len(p) <= room else None for p in payloads)

    def decode(self, payloads: Sequence[bytes | None], rngs: Sequence[torch.Generator]) -> Tensor:
        """Generate from the payloads' maps, through FDS where it is on; from the empty map where there is none."""
        maps = tuple(torch.from_numpy(self._read(payload)) for payload in payloads)
        return self.receive(Received(maps, (b"",) * len(maps)), rngs)

    def _read(self, payload: bytes | None) -> np.ndarray:
        height, width, labels = self.context.height, self.context.width, self.context.label_space.size
        try:
            if payload is not None:
                return read_map(self.options["codec"], payload, height, width, labels, self.with_edges)
        except ValueError:
            pass
        return np.zeros((self.num_channels, height, width), dtype=np.float32)

    def sent_channels(self, header: bytes) -> tuple[int, ...]:
        """The channels of the full map that a scene's symbols are, ascending, the edge channel last.

        They are in the scene's side information: every channel where that is empty.
        """
        num_labels = self.context.label_space.size
        classes = unpack_labels(header, num_labels) if header else tuple(range(num_labels))
        return (*classes, num_labels) if self.with_edges else classes

    def receive(self, received: Received, rngs: Sequence[torch.Generator]) -> Tensor:
        """Denoise the maps where FDS is on, restore the dropped classes, decide where asked, and generate."""
        return self.generate(self.received_maps(received), rngs)

    def received_maps(self, received: Received) -> Tensor:
        """The maps that condition the generator: (B, C + E, H, W) float32 on the CPU, unbounded where noise is left."""
        full = []
        for symbols, header in zip(received.symbols, received.side_info, strict=True):
            maps = fast_denoise(symbols, self.options["pool"]) if self.options["fds"] else symbols
            full.append(restore_channels(maps, self.sent_channels(header), self.num_channels))
        maps = torch.stack(full)
        return decided(maps, self.context.label_space.size) if self.options["decision"] == "hard" else maps

    def identity(self) -> dict[str, Any]:
        """As for any method; `pool` and `decision` only where they change something: older cells know of neither."""
        identity = super().identity()
        if not self.options["fds"] or self.options["pool"] == self.semantic_options["pool"]:
            identity["options"].pop("pool")
        if self.options["decision"] == self.semantic_options["decision"]:
            identity["options"].pop("decision")
        return identity

    @abstractmethod
    def generate(self, maps: Tensor, rngs: Sequence[torch.Generator]) -> Tensor:
        """Pictures for conditioning maps (B, C + E, H, W): (B, 3, H, W) float32 in [0, 1], randomness from `rngs`."""
