"""Deep joint source-channel coding: an autoencoder whose bottleneck is the channel."""

from methods.deepjscc.method import DeepJscc as DeepJscc
