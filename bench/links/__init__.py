"""Digital links: bytes in, bytes out, over the same channels as analogue symbols."""
