"""The authors' checkpoints: what they publish, reading it safely, importing it, listing and verifying what is there."""
