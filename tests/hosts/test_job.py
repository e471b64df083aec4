"""A job on fake hosts with the shapes of A1111, Forge and Neo: what is encoded, put in place, said, forgotten."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from lib_sticky.config import ConfigError
from lib_sticky.hosts import job
from lib_sticky.hosts.a1111 import A1111
from lib_sticky.hosts.forge import Forge
from lib_sticky.hosts.forge_ldm import ForgeLdm
from lib_sticky.infotext import ERROR_KEY, KEY
from tests.api_payloads.malformed import MALFORMED
from tests.hosts.fake_webui import (
    DictWithShape,
    FakeWebUI,
    Processing,
    SdConditioningWithGuidance,
    anima_cond,
    denoiser_params,
    dict_cond,
    tensor_cond,
)

ON = {"enabled": True, "terms": "bad"}
HOSTS = [A1111(), Forge(), ForgeLdm()]
LONG = " ".join(["dog"] * 74)


@pytest.fixture
def webui() -> Iterator[FakeWebUI]:
    fake = FakeWebUI()
    with fake.running():
        yield fake


def run(p: Processing, host: Any, values: Any, uncond: Any, step: int = 0) -> Any:
    job.begin(p, host, values)
    job.prepare(p)
    params = denoiser_params(p, uncond, step)
    job.put_in_place(params)
    return params.text_uncond


@pytest.mark.parametrize("host", HOSTS, ids=lambda host: host.name)
def test_each_image_gets_its_own_tracked_negative(webui: FakeWebUI, host: Any) -> None:
    p = webui.processing(["a cat", "a dog"], ["ugly", ""])
    found = run(p, host, ON, torch.zeros(2, 77, 4))
    assert torch.equal(found, torch.stack([tensor_cond("a cat, ugly, bad"), tensor_cond("a dog, bad")]))
    assert p.negative_prompts == ["ugly", ""]
    assert webui.encoded == [("a cat, ugly, bad", "a dog, bad")]
    assert KEY in p.extra_generation_params
    assert p.comments == []


@pytest.mark.parametrize("values", [{}, {"enabled": False, "terms": "bad"}])
def test_off_leaves_no_trace(webui: FakeWebUI, values: Any) -> None:
    p = webui.processing(["a cat"], ["ugly"])
    before = copy.copy(vars(p))
    uncond = torch.zeros(1, 77, 4)
    assert run(p, A1111(), values, uncond) is uncond
    assert vars(p) == before
    assert webui.encoded == []


def test_every_model_call_uses_what_was_encoded_once(webui: FakeWebUI) -> None:
    p = webui.processing(["a cat"], [""])
    for step in range(5):
        run_once = run(p, A1111(), ON, torch.zeros(1, 77, 4), step) if step == 0 else None
        params = denoiser_params(p, torch.zeros(1, 77, 4), step)
        job.put_in_place(params)
        assert run_once is None or torch.equal(params.text_uncond, run_once)
    assert len(webui.encoded) == 1


def test_a_refiner_switch_encodes_anew(webui: FakeWebUI) -> None:
    p = webui.processing(["a cat"], [""])
    run(p, A1111(), ON, torch.zeros(1, 77, 4))
    p.checkpoint = "refiner"
    job.put_in_place(denoiser_params(p, torch.zeros(1, 77, 4), 15))
    assert len(webui.encoded) == 2


def test_different_chunk_counts_share_a_batch_by_repeating(webui: FakeWebUI) -> None:
    p = webui.processing(["a cat", LONG], ["", ""])
    found = run(p, A1111(), {**ON, "terms": "bad bad"}, torch.zeros(2, 77, 4))
    assert found.shape == (2, 154, 4)
    assert torch.equal(found[0], tensor_cond("a cat, bad bad").repeat(2, 1))
    assert torch.equal(found[1], tensor_cond(f"{LONG}, bad bad"))


def test_different_lengths_are_refused_in_words_where_repeating_would_show(webui: FakeWebUI) -> None:
    webui.model.is_sd1 = False
    uncond = torch.zeros(2, 77, 4)
    p = webui.processing(["a cat", LONG], ["", ""])
    assert run(p, Forge(), {**ON, "terms": "bad bad"}, uncond) is uncond
    assert "batch size 1" in p.extra_generation_params[ERROR_KEY]
    assert any("batch size 1" in said for said in p.comments)


def test_sdxl_keeps_its_type_its_vector_and_unknown_entries() -> None:
    fake = FakeWebUI(encode=dict_cond)
    with fake.running():
        p = fake.processing(["a cat", "a dog"], ["", ""])
        found = run(p, Forge(), ON, DictWithShape({"crossattn": torch.zeros(2, 77, 4)}))
    assert type(found) is DictWithShape
    assert found["vector"].shape == (2, 3)
    assert found["guidance"].tolist() == [3.5, 3.5]
    assert torch.equal(found["crossattn"][1], dict_cond("a dog, bad")["crossattn"])


def test_neo_conditioning_with_a_fourth_axis() -> None:
    fake = FakeWebUI(encode=anima_cond, model=SimpleNamespace())
    with fake.running():
        p = fake.processing(["a cat"], [""])
        found = run(p, Forge(), ON, torch.zeros(1, 1, 77, 4))
    assert torch.equal(found, anima_cond("a cat, bad")[None])


def test_neo_video_has_one_text_for_many_rows() -> None:
    fake = FakeWebUI(model=SimpleNamespace())
    with fake.running():
        found = run(fake.processing(["a cat"], [""]), Forge(), ON, torch.zeros(3, 77, 4))
    assert found.shape == (3, 77, 4)


def test_the_hires_pass_tracks_its_own_prompt_at_its_own_size(webui: FakeWebUI) -> None:
    p = webui.processing(["a cat"], [""], hr_prompts=["a dog"], hr_negative_prompts=["ugly"], hr_second_pass_steps=6)
    run(p, A1111(), ON, torch.zeros(1, 77, 4))
    p.is_hr_pass = True
    job.prepare(p)
    job.prepare(p)  # Forge and some Neo versions call the hook twice.
    cached = p.sticky_job.caches[True, "tracked"][0]  # type: ignore[attr-defined]
    assert cached[:4] == (["a dog, ugly, bad"], (True, 1024, 1024), 20, 12)
    assert webui.encoded == [("a cat, bad",), ("a dog, ugly, bad",)]


def test_hires_off_uses_the_negative_as_typed(webui: FakeWebUI) -> None:
    p = webui.processing(["a cat"], [""], hr_prompts=["a dog"], hr_negative_prompts=["ugly"], is_hr_pass=True)
    uncond = torch.zeros(1, 77, 4)
    assert run(p, A1111(), {**ON, "hires": "off"}, uncond) is uncond


@pytest.mark.parametrize(("hires", "scale"), [(False, 3.5), (True, 4.5)])
def test_distilled_guidance_is_passed_where_the_host_has_it(hires: bool, scale: float) -> None:
    fake = FakeWebUI(conditioning=SdConditioningWithGuidance)
    seen: list[Any] = []
    fake.get_learned_conditioning = lambda _m, texts, *_: (
        seen.append(texts.distilled_cfg_scale)
        or [  # type: ignore[method-assign]
            [SimpleNamespace(end_at_step=20, cond=tensor_cond(text))] for text in texts
        ]
    )
    with fake.running():
        p = fake.processing(["a"], [""], hr_prompts=["a"], hr_negative_prompts=[""], is_hr_pass=hires)
        run(p, Forge(), ON, torch.zeros(1, 77, 4))
    assert seen == [scale]


@pytest.mark.parametrize("host", HOSTS, ids=lambda host: host.name)
def test_cfg_1_is_left_alone_and_said(webui: FakeWebUI, host: Any) -> None:
    p = webui.processing(["a cat"], [""], cfg_scale=1)
    assert run(p, host, ON, None) is None
    assert any("CFG is 1" in said for said in p.comments)


def test_at_cfg_1_a_technique_is_given_the_negative_as_typed_which_forge_left_out(webui: FakeWebUI) -> None:
    class Guided:
        refused, records, owner, sides_differ = (), [], "", False

        def before(self, params: Any, _empty: Any) -> None:
            seen.append(params.text_uncond)

    seen: list[Any] = []
    host = Forge()
    host.guide = lambda *_a, **_k: Guided()  # type: ignore[method-assign]
    p = webui.processing(["a cat", "a dog"], ["ugly", "bad"], cfg_scale=1)
    p.uc = None  # type: ignore[attr-defined]
    job.begin(p, host, {"cfgpp": 0.5})
    job.prepare(p)
    assert webui.encoded == [("ugly", "bad")], "before the model samples"
    params = denoiser_params(p, None)
    params.text_cond = torch.zeros(3, 77, 4)  # Of an AND prompt and a plain one.
    job.put_in_place(params)
    assert torch.equal(seen[0], torch.stack([tensor_cond("ugly"), tensor_cond("bad")]))
    assert len(webui.encoded) == 1
    assert p.comments == []


@pytest.mark.parametrize(
    ("values", "encoded"),
    [
        ({"untitled": True}, [("",), ("",)]),
        ({"untitled": True, "null": "same as the positive"}, [("",)]),
        ({"null": "zeros"}, [("",)]),
        ({"rescale": 0.5}, []),
        ({"twoscale": 2.0}, [("",)]),
    ],
)
def test_empty_texts_are_encoded_before_the_model_samples(webui: FakeWebUI, values: Any, encoded: Any) -> None:
    host = Forge()
    host.guide = lambda *_a, **_k: SimpleNamespace(refused=(), records=[])  # type: ignore[method-assign]
    p = webui.processing(["a cat"], ["ugly"])
    job.begin(p, host, values)
    job.prepare(p)
    assert webui.encoded == encoded


@pytest.mark.parametrize(
    ("p", "opts", "words"),
    [
        ({"s_min_uncond": 3.0}, {}, "minimum sigma is 3"),
        ({}, {"skip_early_cond": 0.2}, "early sampling is 0.2"),
        ({}, {"dynamic_clip_skip_enabled": True}, "Dynamic clip skip"),
    ],
)
def test_what_skips_the_negative_is_said(p: Any, opts: Any, words: str) -> None:
    fake = FakeWebUI(opts=opts)
    with fake.running():
        processing = fake.processing(["a cat"], [""], **p)
        run(processing, ForgeLdm(), ON, torch.zeros(1, 77, 4))
    assert any(words in said for said in processing.comments)


def test_distilled_models_are_said() -> None:
    fake = FakeWebUI(model=SimpleNamespace(use_distilled_cfg_scale=True))
    with fake.running():
        p = fake.processing(["a cat"], [""])
        run(p, Forge(), ON, torch.zeros(1, 77, 4))
    assert any("distilled" in said for said in p.comments)


@pytest.mark.parametrize(("field", "values"), MALFORMED)
def test_a_malformed_dict_stops_the_job_before_it_samples(webui: FakeWebUI, field: str, values: Any) -> None:
    p = webui.processing(["a cat"], [""])
    job.begin(p, A1111(), values)
    with pytest.raises(ConfigError) as refused:
        p.init()
    assert field in refused.value.detail
    assert not hasattr(p, job.ATTRIBUTE)


def test_begin_is_idempotent_on_one_p(webui: FakeWebUI) -> None:
    p = webui.processing(["a cat"], [""])
    for _loop in range(3):
        found = run(p, A1111(), ON, torch.zeros(1, 77, 4))
    assert torch.equal(found, tensor_cond("a cat, bad")[None])
    job.begin(p, A1111(), {})
    assert KEY not in p.extra_generation_params
    assert not hasattr(p, job.ATTRIBUTE)


def test_xyz_cells_do_not_share_what_they_write(webui: FakeWebUI) -> None:
    base = webui.processing(["a cat"], [""])
    cells = [copy.copy(base) for _ in range(2)]
    for cell, terms in zip(cells, ("one", "two"), strict=True):
        setattr(cell, job.OVERRIDES, {"terms": terms})
        job.begin(cell, A1111(), ON)
    assert base.extra_generation_params == {}
    assert ["one" in cell.extra_generation_params[KEY] for cell in cells] == [True, False]


def test_an_inner_job_of_another_extension_is_not_touched(webui: FakeWebUI) -> None:
    outer, inner = webui.processing(["a cat"], [""]), webui.processing(["a face"], [""])
    run(outer, A1111(), ON, torch.zeros(1, 77, 4))
    uncond = torch.zeros(1, 77, 4)
    params = denoiser_params(inner, uncond)
    job.put_in_place(params)
    assert params.text_uncond is uncond


def test_an_encoder_that_fails_is_said_and_the_picture_goes_on(webui: FakeWebUI) -> None:
    def broken(*_: Any) -> Any:
        raise RuntimeError("no memory")

    webui.encode = broken
    p = webui.processing(["a cat"], [""])
    uncond = torch.zeros(1, 77, 4)
    assert run(p, A1111(), ON, uncond) is uncond
    assert p.extra_generation_params[ERROR_KEY] == "RuntimeError: no memory"
    assert sum("no memory" in said for said in p.comments) == 1
