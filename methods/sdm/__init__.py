"""SDM: semantic image synthesis by a diffusion model, the network that GESCO is built on."""

from methods.sdm.method import Sdm as Sdm
