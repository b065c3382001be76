"""Other names of metrics. Nothing heavy is imported here: tables ask too."""

from __future__ import annotations

#: In lower case. LPIPS had the name alone, on AlexNet, before it had a sibling on VGG16.
ALIASES = {"lpips[alex]": "LPIPS"}
