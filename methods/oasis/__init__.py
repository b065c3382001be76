"""OASIS: semantic image synthesis with a segmentation network as the discriminator."""

from methods.oasis.method import Oasis as Oasis
