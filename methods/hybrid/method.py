"""SDM conditioned on the label map and a thumbnail: the colours come back, which no map can carry.

The idea is SPIC's (Pezone et al., ICASSP 2024, arXiv 2310.15737), here with SDM's network and three more channels of
conditioning. One network serves every size of thumbnail that it was trained on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from bench.api.errors import ImpossibleError
from bench.api.lazy import Tensor, torch
from bench.api.method import MethodContext, Received, Transmission
from bench.api.scenes import Scene
from methods.hybrid.thumbnail import LEVELS, decode, encode, grow, shrink, size_of
from methods.sdm import Sdm

if TYPE_CHECKING:
    from methods.common.diffusion.profile import DiffusionProfile

#: Rows of the thumbnails that a network is trained on, as parts of a picture of 64 rows.
ROWS = (4, 8, 16)
#: Bytes that say how long the thumbnail is, ahead of it and of the map.
_LENGTH = 2


class Hybrid(Sdm):
    """Label map, edges and a thumbnail, SDM conditioned on all three.

    `thumbnail` is its number of rows; its columns follow from the picture. Meant for a digital link (`hybrid+digital`);
    as analogue symbols its values follow the maps'.
    """

    name: ClassVar[str] = "hybrid"
    title: ClassVar[str] = "Map and thumbnail"
    task_class: ClassVar[str] = "methods.hybrid.task:HybridTask"
    by_name: ClassVar[bool] = True
    default_options: ClassVar[Mapping[str, Any]] = {**Sdm.default_options, "thumbnail": 8}

    def __init__(self, context: MethodContext, options: Mapping[str, Any] | None = None) -> None:
        super().__init__(context, options)
        try:
            self._size = size_of(context.height, context.width, self.options["thumbnail"])
        except ValueError as error:
            raise ImpossibleError(f"hybrid: {error}") from None

    @classmethod
    def profile_for(cls, context: MethodContext) -> DiffusionProfile:
        """SDM's, with three more channels of conditioning."""
        profile = super().profile_for(context)
        return replace(profile, network=replace(profile.network, map_channels=profile.network.map_channels + 3))

    def send(self, scene: Scene) -> Transmission:
        """The maps' symbols and behind them the thumbnail's, flat, in [0, 1]."""
        sent, thumbnails = super().send(scene), self._thumbnails(scene)
        symbols = tuple(
            torch.cat([maps.flatten(), *(torch.from_numpy(one).flatten() / (LEVELS - 1) for one in thumbnail)]).float()
            for maps, thumbnail in zip(sent.symbols, thumbnails, strict=True)
        )
        bits = tuple(b + 8 * len(encode(*one)) for b, one in zip(sent.bits, thumbnails, strict=True))
        return replace(sent, symbols=symbols, bits=bits)

    def receive(self, received: Received, rngs: Sequence[torch.Generator]) -> Tensor:
        """Maps as SDM's, and the thumbnail as it arrived."""
        rows, columns = self._size
        count, here = rows * columns, self.context
        maps, brightness, colour = [], [], []
        for symbols, header in zip(received.symbols, received.side_info, strict=True):
            split = len(symbols) - count - count // 2
            maps.append(symbols[:split].reshape(len(self.sent_channels(header)), here.height, here.width))
            values = symbols[split:] * (LEVELS - 1)
            brightness.append(values[:count].reshape(rows, columns))
            colour.append(values[count:].reshape(2, rows // 2, columns // 2))
        grown = grow(torch.stack(brightness), torch.stack(colour), here.height, here.width)
        return self.generate(torch.cat([self.received_maps(replace(received, symbols=tuple(maps))), grown], 1), rngs)

    def encode(self, scene: Scene, room: int | None = None) -> tuple[bytes | None, ...]:
        """The thumbnail's bytes and the map's, one payload a scene; None without room."""
        payloads = []
        for thumbnail, label_map in zip(self._thumbnails(scene), super().encode(scene), strict=True):
            assert label_map is not None  # there is room for everything
            small = encode(*thumbnail)
            whole = len(small).to_bytes(_LENGTH, "big") + small + label_map
            payloads.append(whole if room is None or len(whole) <= room else None)
        return tuple(payloads)

    def decode(self, payloads: Sequence[bytes | None], rngs: Sequence[torch.Generator]) -> Tensor:
        """From map and thumbnail; from the null label, empty map and grey, where there are none."""
        return self.generate(torch.stack([self._conditioning(payload) for payload in payloads]), rngs)

    def _conditioning(self, payload: bytes | None) -> Tensor:
        height, width = self.context.height, self.context.width
        blank = torch.zeros(3, height, width)
        if payload is None:
            return torch.cat([torch.from_numpy(self._read(None)), blank])
        end = _LENGTH + int.from_bytes(payload[:_LENGTH], "big")
        try:
            brightness, colour = (torch.from_numpy(one)[None] for one in decode(payload[_LENGTH:end], *self._size))
            blank = grow(brightness, colour, height, width)[0]
        except ValueError:
            pass
        return torch.cat([torch.from_numpy(self._read(payload[end:])), blank])

    def _thumbnails(self, scene: Scene) -> list[tuple[Any, Any]]:
        brightness, colour = (one.numpy() for one in shrink(scene.image, self._size[0]))
        return list(zip(brightness, colour, strict=True))
