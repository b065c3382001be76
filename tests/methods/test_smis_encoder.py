"""Class regions are cut and stretched as the paper describes, and classes do not mix in the encoder."""

from __future__ import annotations

import torch

from methods.smis.method import embedded_encoder
from methods.smis.network import SmisEncoder, class_regions


def test_region_is_the_bounding_box_stretched_to_full_size() -> None:
    image = torch.arange(24.0).reshape(1, 1, 4, 6).expand(1, 3, 4, 6) + 1
    labels = torch.zeros(1, 4, 6, dtype=torch.long)
    labels[0, 1:3, 2:5] = 1
    labels[0, 2, 4] = 0  # a hole in class 1's box
    regions = class_regions(image, labels, 3, (4, 6)).reshape(3, 3, 4, 6)
    row1, row2 = [9.0, 9, 10, 10, 11, 11], [15.0, 15, 16, 16, 0, 0]
    assert regions[1, 0].tolist() == [row1, row1, row2, row2]
    whole = image[0, 0] * (labels[0] == 0)
    assert torch.equal(regions[0, 0], whole)  # class 0 spans the picture, so nothing is stretched
    assert regions[2].abs().max() == 0  # an absent class


def test_shrinking_keeps_pixels_of_the_box() -> None:
    torch.manual_seed(0)
    image = torch.rand(2, 3, 32, 64)
    labels = torch.randint(0, 4, (2, 32, 64))
    regions = class_regions(image, labels, 4, (8, 16)).reshape(2, 4, 3, 8, 16)
    for b in range(2):
        for c in range(4):
            colours = {tuple(p) for p in image[b].flatten(1).T[labels[b].flatten() == c].tolist()} | {(0.0, 0.0, 0.0)}
            assert {tuple(p) for p in regions[b, c].flatten(1).T.tolist()} <= colours


def test_a_class_reaches_its_own_latent_only() -> None:
    torch.manual_seed(0)
    config = embedded_encoder(64, 128)
    encoder = SmisEncoder(config).eval()
    regions = torch.rand(1, 105, *config.size)
    changed = regions.clone()
    changed[:, 6:9] = torch.rand(1, 3, *config.size)
    with torch.no_grad():
        (mean, _), (other, _) = encoder(regions), encoder(changed)
    assert mean.shape == (1, 280, 4, 8)
    moved = (mean - other).abs().amax((0, 2, 3)).reshape(35, 8).amax(1)
    assert moved[2] > 0
    assert moved[torch.arange(35) != 2].max() == 0
