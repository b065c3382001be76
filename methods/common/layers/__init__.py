"""Layers that the GAN methods share: spectral normalisation, SPADE normalisation and the SPADE residual block."""

from methods.common.layers.spade import Modulation, Spade, SpadeBlock
from methods.common.layers.spectral import SpectralConv2d

__all__ = ["Modulation", "Spade", "SpadeBlock", "SpectralConv2d"]
