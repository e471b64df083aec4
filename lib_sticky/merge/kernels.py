"""From a sum of operands to the bytes of an output chunk: one rounding, from float64."""

from __future__ import annotations

import torch

from .dtypes import TORCH_DTYPE, cast_into, round_to_odd
from .operands import PIECE, FileTensor, Form, Operand, Scratch


def evaluate(form: Form, start: int, out: torch.Tensor, code: str, scratch: Scratch) -> None:
    """Fill `out` (dtype `code`) with the elements of `form` from `start` on, each rounded once from float64."""
    if (copied := verbatim_source(form, code)) is not None:
        copied.read_raw(start, out)
    elif (pair := _half_and_half(form, code)) is not None:
        _lerp_half(*pair, start, out, scratch)
    else:
        for at in range(0, out.numel(), PIECE):
            _sum_float64(form, start + at, out[at : at + PIECE], code, scratch)


def verbatim_source(form: Form, code: str) -> FileTensor | None:
    """Return the only file tensor of a form that is a plain copy, else None."""
    if len(form.terms) != 1:
        return None
    ((operand, factor),) = form.terms.items()
    plain = factor == 1.0 and isinstance(operand, FileTensor) and operand.dtype == code
    return operand if plain else None  # type: ignore[return-value]


def _half_and_half(form: Form, code: str) -> tuple[FileTensor, FileTensor] | None:
    if code not in ("F16", "BF16") or len(form.terms) != 2 or set(form.terms.values()) != {0.5}:
        return None
    first, second = form.terms
    same = isinstance(first, FileTensor) and isinstance(second, FileTensor) and first.dtype == second.dtype == code
    return (first, second) if same else None  # type: ignore[return-value]


def _lerp_half(first: FileTensor, second: FileTensor, start: int, out: torch.Tensor, scratch: Scratch) -> None:
    """Average two half-precision tensors without leaving their format.

    torch's lerp computes in float32, where the mean of two halves is exact or too far from a midpoint to matter, and
    rounds once; with a weight that is not a power of two it does not, so only 0.5 comes here.
    """
    with scratch.borrow(out.numel(), out.dtype) as a, scratch.borrow(out.numel(), out.dtype) as b:
        first.read_raw(start, a)
        second.read_raw(start, b)
        torch.lerp(a, b, 0.5, out=out)


def _sum_float64(form: Form, start: int, out: torch.Tensor, code: str, scratch: Scratch) -> None:
    """Multiply and add as float64 does in plain Python, in the order of the terms (no fused operation)."""
    count = out.numel()
    with (
        scratch.borrow(count, torch.float64) as total,
        scratch.borrow(count, torch.float64) as term,
        scratch.borrow(count) as single,
    ):
        total.zero_()
        for operand, factor in form.terms.items():
            _read_exact(operand, start, term, single, scratch)
            if factor != 1.0:
                term.mul_(factor)
            total.add_(term)
        if code == "F64":
            out.copy_(total)
            return
        single.copy_(total)
        round_to_odd(total, single, code)
        cast_into(out, single, code)


def _read_exact(operand: Operand, start: int, term: torch.Tensor, single: torch.Tensor, scratch: Scratch) -> None:
    """Read into float64; only a float64 file needs more than float32 to hold its values."""
    if isinstance(operand, FileTensor) and operand.dtype == "F64":
        with scratch.borrow(term.numel(), TORCH_DTYPE["F64"]) as raw:
            operand.read_raw(start, raw)
            term.copy_(raw)
        return
    operand.read_into(start, single, scratch)
    term.copy_(single)
