"""Inpainting (9 channels) and instruct-pix2pix (8) models with plain ones, as the WebUI's own merger does it."""

from __future__ import annotations

import pytest
import torch

from lib_sticky.merge import Folders, PlanRefused, compose, planned
from lib_sticky.merge.architectures import INPUT_CONVOLUTION

OTHER = "model.diffusion_model.out.2.bias"


def model(bench, name: str, channels: int) -> tuple[str, dict[str, torch.Tensor]]:
    generator = torch.Generator().manual_seed(len(name) + channels)
    tensors = {INPUT_CONVOLUTION: torch.randn(6, channels, 3, 3, generator=generator).half(),
               OTHER: torch.randn(4, generator=generator).half()}  # fmt: skip
    return bench.write(name, tensors), tensors


@pytest.mark.parametrize("channels", [8, 9])
@pytest.mark.parametrize("method", ["weighted_sum", "geometric_median"])
def test_the_channels_that_only_the_first_model_reads_are_its_own(bench, channels: int, method: str) -> None:
    (first, a), (second, b) = model(bench, "wide", channels), model(bench, "plain", 4)
    got = bench.method(method, [first, second])
    assert got[INPUT_CONVOLUTION].shape == (6, channels, 3, 3)
    assert torch.equal(got[INPUT_CONVOLUTION][:, 4:], a[INPUT_CONVOLUTION][:, 4:])
    mean = (a[INPUT_CONVOLUTION][:, :4].double() + b[INPUT_CONVOLUTION].double()) / 2
    torch.testing.assert_close(got[INPUT_CONVOLUTION][:, :4], mean.half())
    torch.testing.assert_close(got[OTHER], ((a[OTHER].double() + b[OTHER].double()) / 2).half())


def test_a_tuned_model_becomes_an_inpainting_model(bench) -> None:
    """Inpainting + (tuned - plain): the recipe by which most inpainting checkpoints were made."""
    (paint, a), (tuned, b), (plain, c) = model(bench, "paint", 9), model(bench, "tuned", 4), model(bench, "base", 4)
    got = bench.method("add_difference", [paint, tuned, plain], {"alpha": 1.0})
    change = b[INPUT_CONVOLUTION].double() - c[INPUT_CONVOLUTION].double()
    want = a[INPUT_CONVOLUTION].double()
    want[:, :4] += change
    assert torch.equal(got[INPUT_CONVOLUTION], want.half())


def test_the_plan_says_which_channels_are_merged(bench) -> None:
    (first, _), (second, _) = model(bench, "wide", 9), model(bench, "plain", 4)
    with planned(compose("average", [first, second], {}), bench.folder / "o.safetensors", Folders()) as (plan, _):
        assert "4 of 9 are merged" in plan.describe(1)
        assert not plan.problems


def test_the_plain_model_first_is_refused_with_the_remedy(bench) -> None:
    (first, _), (second, _) = model(bench, "plain", 4), model(bench, "wide", 9)
    with pytest.raises(PlanRefused, match="inpainting or pix2pix model, name it first"):
        bench.method("weighted_sum", [first, second])
    with pytest.raises(PlanRefused, match="another shape"):
        bench.method("weighted_sum", [model(bench, "eight", 8)[0], second])
