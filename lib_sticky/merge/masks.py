"""Random bits that any worker can make again for any piece of a tensor."""

from __future__ import annotations

import hashlib

import numpy as np

PER_COUNTER = 16  # 16-bit values in one step of Philox 4x64.
FULL = 1 << 16


def uniform_bits(seed: int, key: str, model: int, start: int, count: int) -> np.ndarray:
    """Return `count` uniform uint16 for the elements from `start` on of one model's tensor.

    The values depend on nothing but the arguments: Philox is keyed by them and counted by element.
    Source: Salmon et al., Parallel random numbers: as easy as 1, 2, 3.
    """
    counter, skipped = divmod(start, PER_COUNTER)  # A worker's share begins where a page of the file does.
    name = hashlib.sha256(f"{seed}/{model}/{key}".encode()).digest()
    philox = np.random.Philox(key=np.frombuffer(name[:16], np.uint64), counter=counter)
    raw = philox.random_raw(-(-(skipped + count) // 4))
    return np.ascontiguousarray(raw).view(np.uint16)[skipped : skipped + count]
