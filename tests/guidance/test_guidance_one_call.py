"""The passes of a plan through a small real UNet in one call: each row is what a call of its own would give."""

from __future__ import annotations

import math

import pytest
import torch
from guidance_samples import close, latents
from torch.nn.functional import scaled_dot_product_attention

from lib_sticky.guidance import Pass, Selection, State, Step, combine, plan_step
from lib_sticky.guidance.attention_rows import Attention, attend_rows
from lib_sticky.guidance.pag import Pag
from lib_sticky.guidance.plan import Plan
from lib_sticky.guidance.seg import Seg
from lib_sticky.guidance.token_grid import token_grid
from lib_sticky.guidance.tpg import Tpg, permutation, shuffle

diffusers = pytest.importorskip("diffusers")
SIZE, IMAGES = (16, 8), 2


class RowAttention:
    """A diffusers attention processor that does each row's self-attention as the plan says."""

    def __init__(self, kinds: list[Attention], sigma: float) -> None:
        self.kinds, self.sigma = kinds, sigma

    def __call__(self, layer, hidden, encoder_hidden_states=None, **_):
        context = hidden if encoder_hidden_states is None else encoder_hidden_states
        q, k, v = (
            project(values).unflatten(-1, (layer.heads, -1)).transpose(1, 2)
            for project, values in ((layer.to_q, hidden), (layer.to_k, context), (layer.to_v, context))
        )
        if encoder_hidden_states is None:
            grid = token_grid(hidden.shape[1], *SIZE)
            out = attend_rows(scaled_dot_product_attention, q, k, v, self.kinds, grid, self.sigma)
        else:
            out = scaled_dot_product_attention(q, k, v)
        return layer.to_out[0](out.transpose(1, 2).flatten(-2))


@pytest.fixture(scope="module")
def unet():
    torch.manual_seed(0)
    return diffusers.UNet2DConditionModel(
        sample_size=16, in_channels=4, out_channels=4, layers_per_block=1, block_out_channels=(16, 32),
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"), up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        cross_attention_dim=8, attention_head_dim=8, norm_num_groups=8,
    ).eval()  # fmt: skip


def run(unet, plan: Plan, names: tuple[Pass, ...], sigma: float) -> dict[Pass, torch.Tensor]:
    """One UNet call for the named passes of every image."""
    rows = [plan.row(name) for name in names]
    texts = {Pass.COND: latents(1, IMAGES, 5, 8), Pass.UNCOND: latents(2, IMAGES, 5, 8)}
    kinds = [row.attention for row in rows for _ in range(IMAGES)]
    mixed = [i for i, row in enumerate(rows) if row.shuffled]

    def shuffle_rows(_, inputs, kwargs):
        hidden = inputs[0].clone()
        for i in mixed:
            part = slice(i * IMAGES, (i + 1) * IMAGES)
            hidden[part] = shuffle(inputs[0][part], permutation(hidden.shape[1], plan.step.index, 0))
        return (hidden, *inputs[1:]), kwargs

    unet.set_attn_processor(RowAttention(kinds, sigma))
    block = unet.down_blocks[0].attentions[0].transformer_blocks[0]
    handle = block.register_forward_pre_hook(shuffle_rows, with_kwargs=True)
    try:
        with torch.no_grad():
            x = latents(0, IMAGES, 4, *SIZE).repeat(len(rows), 1, 1, 1)
            out = unet(x, 500, torch.cat([texts[row.conditioning] for row in rows])).sample
    finally:
        handle.remove()
    return dict(zip(names, out.chunk(len(rows)), strict=True))


@pytest.mark.parametrize("sigma", [1.0, math.inf])
def test_rows_do_not_touch_each_other(unet, sigma: float):
    selection = Selection(pag=Pag(1.0), seg=Seg(sigma), tpg=Tpg(1.0))
    plan = plan_step(selection, Step(3, 20, 7.0))
    together = run(unet, plan, plan.passes, sigma)
    for name in plan.passes:
        close(together[name], run(unet, plan, (name,), sigma)[name].numpy())
    for weak in (Pass.PAG, Pass.SEG, Pass.TPG):
        assert (together[weak] - together[Pass.COND]).abs().max() > 1e-3
    done = combine(selection, plan, latents(0, IMAGES, 4, *SIZE), together, State())
    assert done.record.evaluations == 5
    assert torch.isfinite(done.prediction).all()


def test_seg_in_the_negative_costs_no_row(unet):
    selection = Selection(seg=Seg(math.inf, folded=True))
    plan = plan_step(selection, Step(0, 20, 3.0, cond_equals_uncond=True))
    assert plan.passes == (Pass.COND, Pass.UNCOND)
    together = run(unet, plan, plan.passes, math.inf)
    plain = run(unet, plan_step(Selection(), Step(0, 20, 3.0)), plan.passes, math.inf)
    assert (together[Pass.UNCOND] - plain[Pass.UNCOND]).abs().max() > 1e-3
    close(together[Pass.COND], plain[Pass.COND].numpy())
