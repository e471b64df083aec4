"""Muon: singular values near one, the library's own steps, and several processes that train as one."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from lib_sticky.lab.demo.master_weights import MasterWeights  # noqa: E402
from lib_sticky.lab.demo.muon import Muon, is_matrix, orthogonalised  # noqa: E402
from lib_sticky.lab.demo.workers import Workers, together  # noqa: E402


def test_singular_values_come_near_one_and_directions_stay() -> None:
    draw = torch.Generator().manual_seed(0)
    left, _ = torch.linalg.qr(torch.randn(8, 8, generator=draw))
    right, _ = torch.linalg.qr(torch.randn(12, 8, generator=draw))
    stretched = left @ torch.diag(torch.tensor([5.0, 4.0, 3.0, 2.0, 1.5, 1.0, 0.8, 0.5])) @ right.T
    found = left.T @ orthogonalised(stretched[None])[0] @ right
    assert bool(((found.diagonal() > 0.6) & (found.diagonal() < 1.3)).all())
    assert float((found - torch.diag(found.diagonal())).abs().max()) < 0.05


@pytest.mark.parametrize("shape", [(40, 64), (64, 40), (36, 4, 3, 3)])
def test_steps_are_those_of_torchs_own_muon(shape: tuple[int, ...]) -> None:
    draw = torch.Generator().manual_seed(1)
    start = torch.randn(shape, generator=draw)
    ours = [start.clone(), start.clone()]
    theirs = [torch.nn.Parameter(start.flatten(1).clone())]
    peer = torch.optim.Muon(theirs, lr=0.01, weight_decay=0.01, adjust_lr_fn="match_rms_adamw")
    own = Muon(ours)
    for _ in range(3):
        slope = torch.randn(shape, generator=draw)
        for weight in ours:
            weight.grad = slope.clone()
        theirs[0].grad = slope.flatten(1).clone()
        own.step(0.01)
        peer.step()
    moved = (theirs[0].detach() - start.flatten(1)).norm()
    for weight in ours:
        assert float((weight.flatten(1) - theirs[0].detach()).norm() / moved) < 0.02


def test_only_large_matrices_are_steered() -> None:
    shapes = {(96,): False, (96, 31): False, (31, 96): False, (96, 32): True, (4, 96, 3, 3): False, (96, 4, 3, 3): True}
    assert {shape: is_matrix(torch.zeros(shape)) for shape in shapes} == shapes


def _one_step(workers: Workers, folder: Path) -> None:
    torch.manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Linear(32, 32), torch.nn.Linear(32, 2))
    weights = MasterWeights(module, 1e-2, 10, matrices=2.0, workers=workers)
    for step in range(3):
        batch = workers.part(torch.randn(6, 32, generator=torch.Generator().manual_seed(step)))
        weights.step((module(batch) - 1).square().mean())
    torch.save(weights.master, folder / f"{workers.number}of{workers.count}.pt")


def test_two_processes_train_as_one_does(tmp_path: Path) -> None:
    _one_step(Workers(), tmp_path)
    together(2, _one_step, tmp_path)
    alone, first, second = (torch.load(tmp_path / name) for name in ("0of1.pt", "0of2.pt", "1of2.pt"))
    for whole, one, two in zip(alone, first, second, strict=True):
        assert torch.equal(one, two)
        assert torch.allclose(one, whole, atol=1e-3)


def test_momentum_is_part_of_the_state() -> None:
    def fresh() -> tuple[torch.nn.Module, MasterWeights]:
        torch.manual_seed(0)
        module = torch.nn.Linear(32, 32)
        return module, MasterWeights(module, 1e-2, 20, matrices=1.0)

    def run(module: torch.nn.Module, weights: MasterWeights, steps: int) -> None:
        while weights.done < steps:
            batch = torch.randn(8, 32, generator=torch.Generator().manual_seed(weights.done))
            weights.step((module(batch) - 1).square().mean())

    straight, whole = fresh()
    run(straight, whole, 6)
    module, first = fresh()
    run(module, first, 3)
    again, second = fresh()
    second.load(first.state())
    run(again, second, 6)
    assert torch.equal(again.weight, straight.weight)
