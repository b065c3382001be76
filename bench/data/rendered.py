"""What the embedded data sets share: scenes rendered on demand, numbered without end, with no data root."""

import re
from abc import abstractmethod
from collections.abc import Sequence

from bench.api.errors import DataError, nearest
from bench.api.scenes import SceneArrays, SceneSource
from bench.api.seeding import text_digest

#: Scenes that `ids` lists when no limit is given. The splits themselves have no end: a larger limit renders more.
DEFAULT_SCENES = {"train": 20_000, "val": 500, "test": 500}

_ID = re.compile(r"([a-z]+)-(\d{6,})")


class RenderedSource(SceneSource):
    """A data set of our own: scene `test-000012` is a function of split, number, size and renderer's version alone."""

    splits = ("train", "val", "test")
    rendered = True
    training_scenes = 6000

    @abstractmethod
    def renderer_version(self) -> int:
        """The version that is part of every fingerprint."""

    @abstractmethod
    def render(self, split: str, index: int, scene_id: str) -> SceneArrays:
        """Render scene `index` of a split; ValueError for a size that is too small to draw."""

    def ids(self, split: str, limit: int | None = None) -> list[str]:
        """`split-000000` onwards; without a limit as many as `DEFAULT_SCENES` says."""
        self._check_split(split)
        return [f"{split}-{index:06d}" for index in range(DEFAULT_SCENES[split] if limit is None else limit)]

    def load(self, split: str, scene_id: str) -> SceneArrays:
        """Render one scene; DataError for an id that is not one of this split."""
        self._check_split(split)
        match = _ID.fullmatch(scene_id)
        if match is None or match[1] != split:
            raise DataError(
                f"{self.name} has no scene '{scene_id}' in its split {split}; ids look like '{split}-000012'"
            )
        try:
            return self.render(split, int(match[2]), scene_id)
        except ValueError as error:  # a size that is too small to draw
            raise DataError(f"{self.name} cannot render {scene_id}: {error}") from None

    def fingerprint(self, split: str, ids: Sequence[str]) -> str:
        """SHA-256 over the renderer's version, the split, the size and the ids: nothing else shapes a scene."""
        parts = [self.name, str(self.renderer_version()), split, f"{self.height}x{self.width}", *ids]
        return text_digest("\n".join(parts))

    def _check_split(self, split: str) -> None:
        if split not in self.splits:
            raise DataError(f"{self.name} has no split '{split}'{nearest(split, self.splits)}")
