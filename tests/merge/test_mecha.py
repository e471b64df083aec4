"""The published 72- and 216-model recipes, run over small files with their names, against float64 by definition."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from lib_sticky.merge import Folders, Lora, Merge, Model, Options, Recipe, RecipeError, compose, merge
from lib_sticky.merge.block_weights import from_numbers
from lib_sticky.merge.masks import FULL, uniform_bits
from lib_sticky.merge.mecha import read_mecha
from lib_sticky.merge.mecha_export import write_mecha

RECIPES = Path(__file__).parent / "recipes"
SOUP, DGMLA = RECIPES / "x72a-AstolfoMix-240421-feefbf4.mecha", RECIPES / "x215a-AstolfoMix-24101101-6e545a3.mecha"
KEYS = {
    "model.diffusion_model.input_blocks.0.0.weight": (8, 4, 3, 3),
    "model.diffusion_model.out.0.bias": (5,),
    "conditioner.embedders.0.transformer.text_model.encoder.layers.0.mlp.fc1.weight": (12, 10),
}
VAE = "first_stage_model.decoder.conv_in.bias"
SIGNATURE = {"model.diffusion_model.input_blocks.4.1.transformer_blocks.0.attn2.to_k.weight": (640, 2048)}


def names_of(recipe: Recipe) -> list[str]:
    return [node.name for node in recipe.nodes() if isinstance(node, Model)]


def write_models(folder: Path, names: list[str]) -> dict[str, dict[str, torch.Tensor]]:
    """Small models around a common start: most differ a little, every tenth a lot."""
    generator = torch.Generator().manual_seed(0)
    start = {key: torch.randn(shape, generator=generator) for key, shape in {**KEYS, VAE: (7,)}.items()}
    made = {}
    for index, name in enumerate(names):
        size = 1.0 if index % 10 == 9 else 0.05
        made[name] = {
            key: (value + size * torch.randn(value.shape, generator=generator)).half() for key, value in start.items()
        }
        save_file(made[name], folder / Path(name).name)
    return made


def weiszfeld64(points: torch.Tensor) -> torch.Tensor:
    median = points.mean(0)
    for _ in range(100):
        weights = 1 / (points - median).norm(dim=1).clamp(min=1e-6)
        median = (weights[:, None] * points).sum(0) / weights.sum()
    return median


def run(path: Path, folder: Path) -> tuple[Recipe, dict[str, dict[str, torch.Tensor]], dict[str, torch.Tensor]]:
    recipe = read_mecha(path.read_text())
    recipe = Recipe(recipe.root)  # These files are too small to look like SDXL, so they have no part named vae.
    made = write_models(folder, names_of(recipe))
    target = folder / "out.safetensors"
    merge(recipe, target, Folders([folder]), Options())
    return recipe, made, load_file(target)


def close(got: torch.Tensor, want: torch.Tensor) -> None:
    spacing = torch.finfo(torch.float16).eps * want.abs().clamp(min=2.0**-14)
    assert ((got.double().flatten() - want).abs() <= 0.501 * spacing + 2e-6 * want.abs().max()).all()


def test_72_models_ties_soup(tmp_path: Path) -> None:
    recipe, made, got = run(SOUP, tmp_path)
    names = names_of(recipe)
    assert len(names) == 73 and names[0] == "raw/_x25-sd_xl_base_1.0.safetensors"
    ties = next(node for node in recipe.nodes() if isinstance(node, Merge) and node.method == "ties")
    for key in KEYS:
        base = made[names[0]][key].double().flatten()
        changes = torch.stack([made[child.inputs[0].name][key].double().flatten() - base for child in ties.inputs])
        winner = changes.sign().sum(0).sign()
        agreeing = (changes.sign() == winner) & (winner != 0)
        close(got[key], base + (changes * agreeing).sum(0) / agreeing.sum(0).clamp(min=1))


def test_216_models_dgmla(tmp_path: Path) -> None:
    recipe, made, got = run(DGMLA, tmp_path)
    names = names_of(recipe)
    assert len(names) == 216
    (node,) = [node for node in recipe.nodes() if isinstance(node, Merge) and node.method == "dgmla"]
    assert len(node.inputs) == 216
    said = {"probability": 0.1, "epsilon": -0.1, "density": 1.0, "vote": "count", "seed": 241011}
    assert dict(node.params) == {**said, "rescale": 0.0, "maxiter": 100}
    for key in KEYS:
        base = made["raw/_x001-sd_xl_base_1.0.safetensors"][key].double().flatten()
        rows = []
        for index, child in enumerate(node.inputs):
            first, second = (made[leaf.name][key].double().flatten() for leaf in child.inputs)
            change = first - second
            count = change.numel()
            rank = torch.empty(count, dtype=torch.float64)
            rank[change.abs().argsort(stable=True)] = torch.arange(1, count + 1, dtype=torch.float64)
            chance = 0.9 - 0.1 * (rank / count - (count + 1) / (2 * count))
            draw = torch.from_numpy(uniform_bits(241011, key, index, 0, count).astype(np.int64))
            rows.append(change * (draw < (chance * FULL).round()))
        changes = torch.stack(rows)
        winner = changes.sign().sum(0).sign()
        close(got[key], base + weiszfeld64(changes * (changes.sign() == winner)))


def test_old_recipes_take_the_vae_of_the_first_model() -> None:
    assert read_mecha(DGMLA.read_text()).parts["vae"] == Model("raw/_x002-mhxlAventisHorizon_v30.safetensors")
    assert read_mecha(SOUP.read_text()).parts["vae"] == Model("raw/_x25-sd_xl_base_1.0.safetensors")


def test_the_vae_of_an_old_recipe_is_not_merged(bench, make_model) -> None:
    models = [make_model(seed, {**SIGNATURE, VAE: (7,)}) for seed in (1, 2)]
    paths = [bench.write(f"m{index}", tensors) for index, tensors in enumerate(models)]
    recipe = read_mecha("\n".join([*(f'model "{path}" "sdxl" "base"' for path in paths), 'merge "weighted_sum" &0 &1']))
    got, _ = bench.run(recipe)
    assert torch.equal(got[VAE], models[0][VAE])
    (unet,) = SIGNATURE
    assert not torch.equal(got[unet], models[0][unet])


def test_missing_models_are_listed_by_name(tmp_path: Path) -> None:
    recipe = read_mecha(SOUP.read_text())
    write_models(tmp_path, names_of(recipe)[:70])
    with pytest.raises(RecipeError, match="3 of 73 files") as error:
        merge(recipe, tmp_path / "o.safetensors", Folders([tmp_path]), Options())
    assert all(name in str(error.value) for name in names_of(recipe)[70:])


VOTES = [
    ('model "a" "sdxl" "base"\nmodel "b" "sdxl" "base"\nmerge "subtract" &1 &0\nmerge "ties_sum" &2 &2 k=1.0 {}\n'
     'merge "add_difference" &0 &3 alpha=1.0'),
    ('version 0.1.0\nmodel "a" model_config="sdxl-sgm" merge_space="weight"\n'
     'model "b" model_config="sdxl-sgm" merge_space="weight"\nmerge "subtract" &1 &0\n'
     'merge "ties_sum" &2 &2 k=1.0 {}\nmerge "add_difference" &0 &3 alpha=1.0'),
]  # fmt: skip


@pytest.mark.parametrize(
    ("generation", "said", "vote"),
    [(0, "vote_sgn=1.0", "count"), (0, "vote_sgn=0.0", "mass"), (0, "", "count"),
     (1, "vote_sgn=true", "mass"), (1, "vote_sgn=false", "count"), (1, "", "count")],
)  # fmt: skip
def test_vote_sgn_means_what_its_version_meant(generation: int, said: str, vote: str) -> None:
    recipe = read_mecha(VOTES[generation].format(said))
    assert recipe.root.inputs[1].params["vote"] == vote


def test_rescale_and_stock_by_version() -> None:
    old = 'model "a" "sdxl" "base"\nmodel "b" "sdxl" "base"\nmerge "subtract" &1 &0\n{}\nmerge "add_difference" &0 &3'
    assert read_mecha(old.format('merge "ties_sum_with_dropout" &2 probability=0.5')).root.inputs[1].method == "della"
    with pytest.raises(RecipeError, match="Model Stock"):
        read_mecha(old.format('merge "ties_sum_with_dropout" &2 apply_stock=1.0'))
    with pytest.raises(RecipeError, match="Model Stock"):
        read_mecha("version 0.1.0\n" + old.format('merge "ties_sum_with_dropout" &2 apply_stock=false'))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "must make a model"),
        ("version 9", "version 0.1.0"),
        ('merge "weighted_sum" &0 &1', "before it is defined"),
        ('model "a', "quotes"),
        ('model "a"\nmerge "fisher" &0 &0', "no equal"),
        ('model "a"\nmerge "weighted_sum" &0 &0 alpha="x"', "not a number"),
        ('model "a"\nmerge "weighted_sum" &0 &0 beta=1', "beta"),
        ("explode 1", "unknown command"),
    ],
)
def test_malformed_text_is_refused_with_its_line(text: str, words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        read_mecha(text)


def test_export_reads_back_as_the_same_recipe() -> None:
    blocks = from_numbers([index / 10 for index in range(21)])
    inner = Merge("weighted_sum", (Model("a.safetensors"), Model("b.safetensors")), {"alpha": blocks})
    soup = compose("ties", ["c.safetensors", "d.safetensors"], {"density": 0.3}, base="a.safetensors").root
    dgmla = compose("dgmla", ["c.safetensors", "e.safetensors"], {"seed": 5}, base="a.safetensors").root
    root = Merge("average", (inner, soup, dgmla, Merge("add", (inner, Lora("l.safetensors")), {"alpha": 0.5})))
    text = write_mecha(Recipe(root), "sdxl")
    assert text.startswith("version 0.1.0\n")
    again = read_mecha(text)
    assert [type(node) for node in again.nodes()] == [type(node) for node in Recipe(root).nodes()]
    assert names_of(again) == names_of(Recipe(root))
    assert again.root.inputs[2].inputs[1].params["epsilon"] == -0.1
    assert again.root.inputs[0].params["alpha"].blocks["OUT03"] == pytest.approx(1.4)


def test_export_refuses_what_the_text_cannot_say() -> None:
    with pytest.raises(RecipeError, match="same as karcher"):
        write_mecha(compose("karcher", ["a.safetensors", "b.safetensors"], {}), "sdxl")
    with pytest.raises(RecipeError, match="VAE"):
        write_mecha(compose("average", ["a.safetensors"], {}, vae="v.safetensors"), "sdxl")
