"""Settings for the guidance tests: small tensors gain nothing from threads, and a busy machine is no failure."""

from __future__ import annotations

import torch
from hypothesis import settings

torch.set_num_threads(1)
settings.register_profile("unhurried", settings(deadline=None))
settings.load_profile("unhurried")
