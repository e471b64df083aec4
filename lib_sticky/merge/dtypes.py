"""The number formats of safetensors, and casts to them that round once."""

from __future__ import annotations

import numpy as np
import torch

TORCH_DTYPE: dict[str, torch.dtype] = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}
ITEM_SIZE: dict[str, int] = {code: dtype.itemsize for code, dtype in TORCH_DTYPE.items()}
FLOATS = frozenset({"F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2"})
FP8_MAX = {"F8_E4M3": 448.0, "F8_E5M2": 57344.0}

# What a user types for a dtype, and the code in the file.
USER_DTYPE = {"fp32": "F32", "fp16": "F16", "bf16": "BF16", "fp8_e4m3fn": "F8_E4M3", "fp8_e5m2": "F8_E5M2"}

# Bits of a float32 that each narrower format drops, and the magnitude below which it drops more (its subnormals).
_DROPPED_BITS = {"F16": (13, 2.0**-14), "BF16": (16, 0.0), "F8_E4M3": (20, 2.0**-6), "F8_E5M2": (21, 2.0**-14)}


def round_to_odd(exact: torch.Tensor, single: torch.Tensor, code: str) -> None:
    """Make `single`, the float32 rounding of float64 `exact`, safe to round once more to the format `code`.

    A value that float32 rounds onto the midpoint of two narrow numbers loses the side it came from. Those (and all
    that fall among the subnormals) are moved to the float32 neighbour with an odd last bit, which is never a midpoint.
    Source: Boldo and Melquiond, "Emulation of FMA and correctly rounded sums: proved algorithms using rounding to odd".
    """
    if code not in _DROPPED_BITS:
        return
    dropped, tiny = _DROPPED_BITS[code]
    flat, bits = single.numpy(), single.view(torch.int32)
    suspects = (bits.numpy() & np.int32((1 << dropped) - 1)) == np.int32(1 << (dropped - 1))
    if tiny:
        suspects |= np.abs(flat) < np.float32(tiny)
    where = np.flatnonzero(suspects)
    near, true = flat[where], exact.numpy()[where]
    pattern = near.view(np.int32)
    outward = (true > near) == (near > 0)  # Away from zero is one up in the bit pattern, whatever the sign.
    move = (near != true) & ((pattern & 1) == 0)
    bits.numpy()[where] = pattern + np.where(outward, 1, -1) * move


def cast_into(out: torch.Tensor, single: torch.Tensor, code: str) -> None:
    """Write float32 `single` into `out` of format `code`; fp8 saturates, because torch turns its overflow into NaN."""
    if code in FP8_MAX:
        finite = torch.isfinite(single)
        limit = FP8_MAX[code]
        single = torch.where(finite, single.clamp(-limit, limit), single)
    out.copy_(single)


def all_finite(values: torch.Tensor) -> bool:
    """Say whether every element is finite; the sum is a cheap first answer and only its failure costs a full look."""
    if not values.dtype.is_floating_point:
        return True
    if values.dtype.itemsize == 1:
        values = values.to(torch.float32)
    return bool(torch.isfinite(values.sum())) or bool(torch.isfinite(values).all())
