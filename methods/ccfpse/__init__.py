"""CC-FPSE: conditional convolutions and a feature-pyramid semantics-embedding discriminator."""

from methods.ccfpse.method import CcFpse as CcFpse
