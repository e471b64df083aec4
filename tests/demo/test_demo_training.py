"""Parts of the training program: exact gradients, a schedule that ends, states that resume, distances by hand."""

from __future__ import annotations

import math
import random
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")
pytest.importorskip("transformers")

from lib_sticky.lab.demo.channels_last_norm import ChannelsLastGroupNorm, for_training_on_cpu  # noqa: E402
from lib_sticky.lab.demo.diffusion import Latents, noise_levels, rows_with_window, window_batch  # noqa: E402
from lib_sticky.lab.demo.examples import chunk_scenes  # noqa: E402
from lib_sticky.lab.demo.frechet import frechet_distance  # noqa: E402
from lib_sticky.lab.demo.layout import alphas_cumprod  # noqa: E402
from lib_sticky.lab.demo.master_weights import MasterWeights  # noqa: E402
from lib_sticky.lab.demo.plot import smoothed  # noqa: E402
from lib_sticky.lab.demo.run_folder import Progress, RunFolder  # noqa: E402
from lib_sticky.lab.demo.sampling import sample  # noqa: E402
from lib_sticky.lab.demo.text_encoder import token_rows  # noqa: E402


def test_channels_last_norm_has_the_value_and_gradients_of_group_norm() -> None:
    torch.manual_seed(0)
    plain = torch.nn.GroupNorm(32, 96)
    with torch.no_grad():
        plain.weight.normal_()
        plain.bias.normal_()
    fast = torch.nn.Sequential(torch.nn.GroupNorm(32, 96))
    fast[0].load_state_dict(plain.state_dict())
    for_training_on_cpu(fast)
    assert type(fast[0]) is ChannelsLastGroupNorm
    x = (torch.randn(3, 96, 5, 7) * 2 + 1).requires_grad_()
    y = x.detach().clone().to(memory_format=torch.channels_last).requires_grad_()
    weight = torch.randn(3, 96, 5, 7)
    (plain(x) * weight).sum().backward()
    (fast(y) * weight).sum().backward()
    assert torch.allclose(plain(x), fast(y), atol=1e-5)
    assert torch.allclose(x.grad, y.grad, atol=1e-5)
    assert torch.allclose(plain.weight.grad, fast[0].weight.grad, atol=1e-4)
    assert torch.allclose(plain.bias.grad, fast[0].bias.grad, atol=1e-4)


def test_master_weights_resume_where_they_were(tmp_path: Path) -> None:
    def run(steps: int, weights: MasterWeights, module: torch.nn.Module) -> None:
        for step in range(weights.done, steps):
            x = torch.randn(8, 4, generator=torch.Generator().manual_seed(step))
            weights.step((module(x) - 1).square().mean())

    def fresh() -> tuple[torch.nn.Module, MasterWeights]:
        torch.manual_seed(0)
        module = torch.nn.Linear(4, 2)
        return module, MasterWeights(module, 1e-2, 20, average=0.9)

    module, weights = fresh()
    run(20, weights, module)
    half, first = fresh()
    run(10, first, half)
    folder = RunFolder(tmp_path)
    folder.save("state", first.state())
    again, second = fresh()
    second.load(folder.load("state"))
    run(20, second, again)
    assert torch.equal(again.weight, module.weight)
    weights.settle()
    second.settle()
    assert torch.equal(again.weight, module.weight)


def test_weights_to_start_from_are_kept_in_full_beside_a_bfloat16_module() -> None:
    module = torch.nn.Linear(2, 1, bias=False).bfloat16()
    weights = MasterWeights(module, 1e-2, 10, average=0.9)
    weights.start_from([torch.tensor([[1.001, -2.0]])])
    for kept in (weights.master, weights.averaged):
        assert torch.equal(kept[0], torch.tensor([[1.001, -2.0]]))
    assert module.weight.tolist() == [[1.0, -2.0]]


def test_a_step_that_is_not_finite_is_left_out() -> None:
    module = torch.nn.Linear(2, 1)
    before = module.weight.detach().clone()
    MasterWeights(module, 1e-2, 10).step(module(torch.tensor([[float("inf"), 1.0]])).sum())
    assert torch.equal(module.weight, before)


def test_noise_weights_keep_the_expected_min_snr_loss() -> None:
    noise = noise_levels()
    assert float(noise.chance.sum()) == pytest.approx(1.0, abs=1e-5)
    assert float((noise.chance * noise.weight).sum()) == pytest.approx(1.0, abs=1e-5)
    product = noise.chance * noise.weight
    first_ratio = 0.99915 / 0.00085
    assert float(product[999] / product[0]) == pytest.approx(first_ratio / 5, rel=1e-3)


def test_windows_hold_the_whole_object() -> None:
    scenes = [scene for number in range(3) for scene in chunk_scenes(1, number)]
    where = torch.arange(256.0).view(1, 1, 16, 16).expand(len(scenes), 4, -1, -1)
    states = torch.zeros(len(scenes), 1, 77, 64)
    data = Latents(where, scenes, states, states[0, 0])
    fitting = rows_with_window(data)
    assert len(fitting) > 10
    grids, rows = window_batch(random.Random(0), data, fitting, 40)
    for grid, row in zip(grids, rows, strict=True):
        y, x = divmod(int(grid[0, 0, 0]), 16)
        only = scenes[row].layers[0]
        assert 8 * x <= only.x - only.rx and only.x + only.rx <= 8 * x + 64
        assert 8 * y <= only.y - only.ry and only.y + only.ry <= 8 * y + 64


def test_frechet_distance_by_hand() -> None:
    draw = torch.Generator().manual_seed(0)
    x = torch.randn(4000, 3, generator=draw)
    assert frechet_distance(x, x) == pytest.approx(0.0, abs=1e-6)
    assert frechet_distance(x, x + torch.tensor([1.0, 2.0, 2.0])) == pytest.approx(9.0, abs=1e-4)
    wider = 4 * x.mean(0).square().sum() + 4 * torch.cov(x.T).trace()
    assert frechet_distance(x, 3 * x) == pytest.approx(float(wider), rel=1e-4)


@pytest.mark.parametrize("sampler", ["Euler", "Euler a", "DPM++ 2M"])
def test_sampling_with_a_perfect_denoiser_finds_the_picture(sampler: str) -> None:
    wanted = torch.randn(1, 4, 16, 16, generator=torch.Generator().manual_seed(1))
    kept = alphas_cumprod().double()
    log_sigmas = (((1 - kept) / kept).log() / 2).numpy()

    class Perfect:
        dtype = torch.float32

        def __call__(self, fed: torch.Tensor, when: torch.Tensor, *_: object, **__: object) -> tuple[torch.Tensor]:
            level = math.exp(np.interp(float(when), range(1000), log_sigmas))
            return ((fed * math.sqrt(level**2 + 1) - wanted) / level,)

    states = torch.zeros(1, 77, 64)
    start = torch.randn(1, 4, 16, 16, generator=torch.Generator().manual_seed(2))
    assert torch.allclose(sample(Perfect(), states, states, 1.0, start, sampler=sampler), wanted, atol=1e-4)
    assert torch.allclose(sample(Perfect(), states, states, 7.0, start, sampler=sampler), wanted, atol=1e-3)


def test_tokens_are_cut_and_padded_to_77() -> None:
    rows = token_rows(["", "star " * 200])
    assert rows.shape == (2, 77)
    assert rows[0].tolist() == [49406] + [49407] * 76
    assert int(rows[1, -1]) == 49407


def test_progress_keeps_a_log_and_draws_a_plot(tmp_path: Path) -> None:
    progress = Progress(RunFolder(tmp_path), "unet", 3, every=1)
    for step, loss in enumerate((3.0, 2.0, 1.0)):
        progress(step, {"loss": loss})
    progress.plot()
    assert len((tmp_path / "log.jsonl").read_text().splitlines()) == 3
    assert (tmp_path / "loss_unet.png").stat().st_size > 500
    assert smoothed([1.0, 3.0, 5.0, 7.0, 9.0], 2) == [2.0, 6.0]
