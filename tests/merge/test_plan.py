"""What is decided before any work, what the output carries, recipes in JSON, shards; old bugs of peers by name."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import load_file

from lib_sticky.merge import (
    Folders,
    Lora,
    Merge,
    MergeError,
    Model,
    Options,
    PlanRefused,
    Recipe,
    RecipeError,
    compose,
    from_json,
    merge,
    planned,
)
from lib_sticky.merge.architectures import NAMES, detect, load
from lib_sticky.merge.block_weights import from_numbers
from lib_sticky.merge.checkpoint_io import TensorEntry
from lib_sticky.merge.command import main
from lib_sticky.merge.hash_cache import FileHashCache

UNET = "model.diffusion_model."
K2 = "transformer_blocks.0.attn2.to_k.weight"
SD1 = {f"{UNET}input_blocks.1.1.{K2}": (320, 768), f"{UNET}out.2.bias": (4,)}
SDXL = {f"{UNET}input_blocks.4.1.{K2}": (640, 2048), f"{UNET}out.2.bias": (4,)}
IDS = "cond_stage_model.transformer.text_model.embeddings.position_ids"
VAE = "first_stage_model.decoder.conv_in.bias"


@pytest.mark.parametrize("name", [name for name in NAMES if name != "sd2"])
def test_architectures_know_their_own_keys(name: str) -> None:
    architecture = load(name)
    tensors = {key: TensorEntry("F16", shape, 0, 0) for key, shape in architecture.keys.items()}
    assert detect(tensors) is architecture
    assert all(architecture.canonical(key) == key for key in tensors)
    assert {architecture.component(key) for key in tensors} <= {*architecture.components, "other"}
    named = {block for key in tensors for block in architecture.blocks_of(key)}
    assert set(architecture.blocks) - named <= {"BASE"} | {f"J{n:02}" for n in range(24, 38)}


def test_sd1_has_1131_float_keys_and_sdxl_over_2500() -> None:
    assert len(load("sd1").keys) == 1130
    assert len(load("sdxl").keys) > 2500


def test_models_of_different_architecture_are_never_broadcast(bench, make_model) -> None:
    """Forge 2621: an SD1.5 model merged with SDXL asked for 335 GB."""
    paths = [bench.write(name, make_model(1, keys)) for name, keys in (("sdxl", SDXL), ("sd1", SD1))]
    for keep in (False, True):
        with pytest.raises(PlanRefused, match=r"Stable Diffusion 1\.x but .*Stable Diffusion XL"):
            bench.run(compose("weighted_sum", paths, {}), keep=keep)


def test_shape_mismatch_is_listed_and_kept_only_on_request(bench) -> None:
    first = bench.write("a", {"w": torch.zeros(4, 3), "v": torch.zeros(2)})
    second = bench.write("b", {"w": torch.ones(1, 3), "v": torch.ones(2)})
    recipe = compose("weighted_sum", [first, second], {})
    with pytest.raises(PlanRefused, match="another shape"):
        bench.run(recipe)
    got, _ = bench.run(recipe, keep=True)
    assert not got["w"].any() and got["v"].tolist() == [0.5, 0.5]


def test_missing_and_extra_keys_need_a_choice(bench) -> None:
    first = bench.write("a", {"w": torch.zeros(3), "only.a": torch.ones(2)})
    second = bench.write("b", {"w": torch.ones(3), "only.b": torch.ones(2)})
    recipe = compose("weighted_sum", [first, second], {})
    with pytest.raises(PlanRefused) as error:
        bench.run(recipe)
    assert "1 keys that it lacks" in str(error.value) and "only it has" in str(error.value)
    got, _ = bench.run(recipe, keep=True)
    assert set(got) == {"w", "only.a"} and got["only.a"].tolist() == [1.0, 1.0]


def test_every_key_is_merged_whatever_its_name(bench) -> None:
    """Forge 2929: two Flux models merged to a copy of the first, because keys without "model" were skipped."""
    keys = {"double_blocks.0.img_attn.qkv.weight": (6, 4), "logit_scale": (), "text_projection": (3, 3)}
    paths, models = bench.models(2, keys)
    got = bench.method("weighted_sum", paths)
    for key, value in got.items():
        torch.testing.assert_close(value, (models[0][key] + models[1][key]) / 2)


def test_equal_models_do_not_pass_as_a_merge(bench) -> None:
    """supermerger 25, Forge 1454: a merge that silently is its first model."""
    paths, models = bench.models(1)
    copy = bench.write("copy", models[0])
    with pytest.raises(MergeError, match="number for number"):
        bench.method("weighted_sum", [paths[0], copy])
    tiny = bench.write("tiny", {key: value * (1 + 2.0**-10) for key, value in models[0].items()})
    with pytest.raises(MergeError, match="too small for the number format"):
        bench.method("weighted_sum", [paths[0], tiny], {"alpha": 0.01})
    assert set(bench.method("weighted_sum", [paths[0], tiny], {"alpha": 0.0})) == set(models[0])


def test_report_says_how_far_from_each_input(bench) -> None:
    paths, models = bench.models(2)
    _, report = bench.run(compose("weighted_sum", paths, {"alpha": 0.25}))
    flat = [torch.cat([model[key].double().flatten() for key in sorted(model)]) for model in models]
    gap = (flat[1] - flat[0]).norm()
    assert report.distances[paths[0]] == pytest.approx(float(0.25 * gap / flat[0].norm()), rel=0.05)
    assert report.distances[paths[1]] == pytest.approx(float(0.75 * gap / flat[1].norm()), rel=0.05)
    assert report.sha256 == hashlib.sha256(Path(report.path).read_bytes()).hexdigest()


def test_ids_and_markers_are_carried_byte_for_byte(bench, make_model) -> None:
    """sd-mecha casts position_ids to fp16 and drops v_pred."""
    models = [make_model(seed, SD1) for seed in (1, 2)]
    for model in models:
        model[IDS], model["v_pred"] = torch.arange(77).reshape(1, 77), torch.zeros(0)
    models[1][IDS] = models[1][IDS] + 1
    paths = [bench.write(f"m{index}", model) for index, model in enumerate(models)]
    got = bench.method("weighted_sum", paths, dtype={"*": "fp16"})
    assert torch.equal(got[IDS], models[0][IDS]) and got[IDS].dtype == torch.int64
    assert got["v_pred"].shape == (0,)


def test_conflicting_markers_stop_the_merge(bench, make_model) -> None:
    """supermerger 290: the v-pred setting lost in a merge gives noise."""
    models = [make_model(seed, SD1) for seed in (1, 2)]
    models[1]["v_pred"] = torch.zeros(0)
    paths = [bench.write(f"m{index}", model) for index, model in enumerate(models)]
    with pytest.raises(PlanRefused, match="v_pred"):
        bench.method("weighted_sum", paths)


def test_other_spellings_of_keys_meet(bench, make_model) -> None:
    name = "cond_stage_model.transformer.{}encoder.layers.0.mlp.fc1.bias"
    models = [make_model(seed, {**SD1, name.format(part): (5,)}) for seed, part in ((1, ""), (2, "text_model."))]
    paths = [bench.write(f"m{index}", model) for index, model in enumerate(models)]
    got = bench.method("weighted_sum", paths)
    mean = (models[0][name.format("")] + models[1][name.format("text_model.")]) / 2
    torch.testing.assert_close(got[name.format("")], mean)


def test_a_vae_file_takes_its_place(bench, make_model) -> None:
    models = [make_model(seed, {**SD1, VAE: (6,)}) for seed in (1, 2)]
    paths = [bench.write(f"m{index}", model) for index, model in enumerate(models)]
    vae = bench.write("vae", {"decoder.conv_in.bias": torch.full((6,), 7.0).half()})
    got = bench.method("weighted_sum", paths, vae=vae, dtype={"vae": "fp32"})
    assert got[VAE].tolist() == [7.0] * 6 and got[VAE].dtype == torch.float32
    assert got[f"{UNET}out.2.bias"].dtype == torch.float16


def test_omitted_keys_are_not_there(bench) -> None:
    paths, models = bench.models(2)
    got = bench.method("average", paths, omit=["^text"])
    assert set(got) == {key for key in models[0] if not key.startswith("text")}


def test_metadata_is_text_and_runs_again(bench) -> None:
    """A1111 10460: a dict in the metadata broke the save after the merge. supermerger 43: recipes lost."""
    paths, models = bench.models(3)
    inherited = {"modelspec.title": "A", "modelspec.hash_sha256": "x", "sd_merge_models": '{"old": {}}'}
    bench.write("m0", models[0], inherited)
    cache = FileHashCache(bench.folder / "cache.json")
    target = bench.folder / "one.safetensors"
    merge(compose("average", paths, {}), target, Folders(), Options(), hashes=cache)
    with safe_open(target, "pt") as opened:
        metadata = opened.metadata()
    assert metadata["modelspec.title"] == "A" and "modelspec.hash_sha256" not in metadata
    told = json.loads(metadata["sd_merge_recipe"])
    known = json.loads(metadata["sd_merge_models"])
    hashes = {path: hashlib.sha256(Path(path).read_bytes()).hexdigest() for path in paths}
    assert "old" in known and {hashes[path] for path in paths} <= set(known)
    assert {row["sha256"] for row in told["nodes"] if "model" in row} == set(hashes.values())
    again = from_json({key: told[key] for key in ("schema", "nodes", "root")})
    merge(again, bench.folder / "two.safetensors", Folders(), Options())
    first, second = (load_file(bench.folder / f"{name}.safetensors") for name in ("one", "two"))
    assert all(torch.equal(first[key], value) for key, value in second.items())
    assert cache.get(target) == hashlib.sha256(target.read_bytes()).hexdigest()


def test_a_wait_for_hashes_is_told_once(bench) -> None:
    paths, _ = bench.models(2)
    cache = FileHashCache(bench.folder / "cache.json")
    said: dict[str, list[str]] = {"one": [], "two": []}
    for name, told in said.items():
        target = bench.folder / f"{name}.safetensors"
        merge(compose("average", paths, {}), target, Folders(), Options(), hashes=cache, tell=told.append)
    assert [sum("2 files that are new here" in line for line in told) for told in said.values()] == [1, 0]


def test_hash_cache_notices_a_changed_file(tmp_path: Path) -> None:
    """untitledmerger 4: a stale cache gave the same picture for different models."""
    cache, path = FileHashCache(tmp_path / "c.json"), tmp_path / "x"
    path.write_bytes(b"one")
    cache.put(path, "aa")
    assert cache.get(path) == "aa"
    path.write_bytes(b"three")
    assert cache.get(path) is None


def test_composed_recipes_need_no_file_in_between(bench) -> None:
    paths, models = bench.models(4)
    inner = [Merge("weighted_sum", (Model(paths[i]), Model(paths[i + 1]))) for i in (0, 2)]
    got, _ = bench.run(Recipe(Merge("weighted_sum", tuple(inner), {"alpha": 0.5})))
    for key, value in got.items():
        want = sum(model[key].double() for model in models) / 4
        torch.testing.assert_close(value, want.half())


NUMBERS = st.floats(-1, 2, allow_nan=False).map(lambda value: round(value, 3))
NODES = st.recursive(
    st.sampled_from("abc").map(lambda name: Model(f"{name}.safetensors")),
    lambda inner: st.tuples(inner, inner, NUMBERS).map(
        lambda made: Merge("weighted_sum", made[:2], {"alpha": made[2]})
    ),
    max_leaves=12,
)


@given(NODES)
def test_json_and_back_is_the_same_recipe(root) -> None:
    recipe = Recipe(root, {"vae": Model("v")}, {"*": "fp16"}, ("x",))
    again = from_json(json.loads(json.dumps(recipe.to_json())))
    assert again == recipe and hash(again) == hash(recipe)
    assert len(recipe.nodes()) == len({node.digest for node in recipe.nodes()})


def test_a_shared_node_is_worked_once_and_a_deep_tree_is_no_trouble() -> None:
    node = Model("a")
    for _ in range(3000):
        node = Merge("weighted_sum", (node, node), {"alpha": from_numbers([0.1] * 26)})
    recipe = Recipe(node)
    assert len(recipe.nodes()) == 3001 and from_json(recipe.to_json()) == recipe


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ([], "JSON object"),
        ({"schema": 2, "root": "a"}, "another version"),
        ({"schema": 1}, "needs a root"),
        ({"schema": 1, "root": 0}, "before it is defined"),
        ({"schema": 1, "root": "a", "colour": 1}, "no field 'colour'"),
        ({"schema": 1, "root": {"model": "a", "lora": "b"}}, "exactly one"),
        ({"schema": 1, "root": {"merge": "average", "input": []}}, "no field 'input'"),
        ({"schema": 1, "root": {"merge": "average", "params": {"x": [1]}}}, "plain value"),
        ({"schema": 1, "root": {"merge": "average", "params": {"x": float("nan")}}}, "finite"),
        ({"schema": 1, "root": {"merge": "average", "params": {"x": {"block": 1}}}}, "no field 'block'"),
    ],
)
def test_malformed_recipes_are_refused_by_field(document: object, words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        from_json(document)


def test_spaces_are_checked_before_any_file_is_read(bench) -> None:
    paths, _ = bench.models(2)
    change = Merge("subtract", (Model(paths[0]), Model(paths[1])))
    for root, words in (
        (change, "ends in a change"),
        (Merge("weighted_sum", (Model(paths[0]), change)), "must be a weight, not a delta"),
        (Merge("ties", (Model(paths[0]),)), "must be a delta, not a weight"),
        (Merge("average", (Lora("l"), Model(paths[0]))), "must be a delta, not a weight"),
    ):
        with pytest.raises(RecipeError, match=words):
            bench.run(Recipe(root))


def test_shards_join_to_the_same_bytes(bench) -> None:
    paths, _ = bench.models(3, {f"w{index}": (30 + index, 20) for index in range(12)})
    recipe, whole = compose("geometric_median", paths, {}), bench.folder / "whole.safetensors"
    merge(recipe, whole, Folders(), Options())
    out = bench.folder / "out.safetensors"
    for index in (1, 2, 3):
        merge(recipe, out, Folders(), Options(), shard=(index, 3))
    assert main(["join", str(out), "3"]) == 0
    assert out.read_bytes() == whole.read_bytes()
    merge(compose("average", paths, {}), out, Folders(), Options(overwrite=True), shard=(2, 3))
    with pytest.raises(MergeError, match="different recipes"):
        from lib_sticky.merge.shards import join

        join(out, 3, overwrite=True)


def test_plan_says_room_and_time_and_writes_nothing(bench, capsys) -> None:
    paths, _ = bench.models(2)
    before = sorted(bench.folder.iterdir())
    assert main([*paths, "-o", str(bench.folder / "o.safetensors"), "--plan"]) == 0
    told = capsys.readouterr().out
    assert "4 tensors" in told and "free on the disk" in told and "MB of buffers" in told
    assert sorted(bench.folder.iterdir()) == before


def test_a_folder_that_is_not_there_is_named(bench, capsys) -> None:
    paths, _ = bench.models(2)
    assert main([*paths, "-o", str(bench.folder / "none" / "o.safetensors"), "--no-hash"]) == 1
    assert "there is no folder" in capsys.readouterr().err


def test_names_are_looked_up_in_folders_and_their_folders(tmp_path: Path, bench) -> None:
    paths, _ = bench.models(2)
    deep = tmp_path / "models" / "sub"
    deep.mkdir(parents=True)
    for path in paths:
        Path(path).rename(deep / Path(path).name)
    recipe = compose("average", ["raw/m0.safetensors", "m1"], {})
    with planned(recipe, tmp_path / "o.safetensors", Folders([tmp_path / "models"])) as (plan, _):
        assert len(plan.sources) == 2


def test_command_mixes_by_rule_and_method_list_is_complete(bench, capsys) -> None:
    paths, models = bench.models(2)
    out = bench.folder / "o.safetensors"
    words = ["-p", "alpha=0.25", "--rule", "alpha=:bias:1.0", "--quiet", "--no-hash"]
    assert main([*paths, "-o", str(out), *words]) == 0
    assert torch.equal(load_file(out)["unet.a.bias"], models[1]["unet.a.bias"])
    assert main(["--methods"]) == 0
    assert "dgmla" in capsys.readouterr().out
