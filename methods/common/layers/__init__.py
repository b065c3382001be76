"""Layers that the GAN methods share: spectral normalisation, SPADE normalisation and the SPADE residual block."""

from methods.common.layers.spade import ModulationConfig, SpadeBlock, SpadeNorm
from methods.common.layers.spectral import SpectralConv2d

__all__ = ["ModulationConfig", "SpadeBlock", "SpadeNorm", "SpectralConv2d"]
