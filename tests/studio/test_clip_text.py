"""Chunks by hand, encodings against diffusers' own, and what A1111 adds to them."""

from __future__ import annotations

import copy

import pytest
import torch

from lib_sticky.guidance.conditioning import CROSSATTN
from lib_sticky.hosts.clip_text import chunked
from lib_sticky.hosts.diffusers import Cond, Diffusers

COMMA = 0
SIZE = (16, 24)


def sizes(pieces: list[tuple[list[int], float] | None]) -> list[int]:
    return [len(chunk.tokens) for chunk in chunked(pieces, COMMA)]


def test_chunks_hold_75_tokens() -> None:
    assert sizes([]) == [0]
    assert sizes([([1] * 75, 1.0)]) == [75]
    assert sizes([([1] * 76, 1.0)]) == [75, 1]
    assert sizes([([1] * 200, 1.0)]) == [75, 75, 50]


def test_break_ends_a_chunk() -> None:
    assert sizes([([1] * 3, 1.0), None, ([1] * 2, 1.0)]) == [3, 2]
    assert sizes([None, None]) == [0, 0]


def test_words_after_a_near_comma_move_on() -> None:
    near = [1] * 60 + [COMMA] + [2] * 20
    assert sizes([(near, 1.0)]) == [61, 20]
    far = [1] * 50 + [COMMA] + [2] * 30
    assert sizes([(far, 1.0)]) == [75, 6]
    border = [1] * 55 + [COMMA] + [2] * 20
    assert sizes([(border, 1.0)]) == [56, 20]
    beyond = [1] * 54 + [COMMA] + [2] * 21
    assert sizes([(beyond, 1.0)]) == [75, 1]


def test_a_comma_itself_moves_nothing() -> None:
    assert sizes([([1] * 70 + [COMMA] + [2] * 4 + [COMMA] + [3], 1.0)]) == [75, 2]


def test_weights_stay_with_their_tokens() -> None:
    chunks = chunked([([1] * 60 + [COMMA, 2, 2], 1.0), ([3] * 20, 1.5)], COMMA)
    assert [len(chunk.tokens) for chunk in chunks] == [61, 22]
    assert chunks[1].weights == [1.0, 1.0] + [1.5] * 20


def positive(host: Diffusers, text: str, **about: int) -> Cond:
    return host.prepare(text, "", 10, SIZE, **about).conds(0)[0]


def crossattn(cond: Cond) -> torch.Tensor:
    return cond[CROSSATTN] if isinstance(cond, dict) else cond


def test_a_plain_prompt_is_encoded_as_diffusers_does(host: Diffusers) -> None:
    text = "two small red circles on a blue background"
    with torch.no_grad():
        if host.is_xl:
            expected, _, pooled, _ = host.pipe.encode_prompt(text, device="cpu", do_classifier_free_guidance=False)
        else:
            expected, _ = host.pipe.encode_prompt(text, "cpu", 1, False)
    found = positive(host, text)
    torch.testing.assert_close(crossattn(found), expected[0])
    if isinstance(found, dict):
        torch.testing.assert_close(found["text_embeds"], pooled[0])
        assert found["time_ids"].tolist() == [24, 16, 0, 0, 24, 16]


def test_clip_skip_is_an_encoder_without_its_last_layers(sd1: Diffusers) -> None:
    shorter = copy.deepcopy(sd1.pipe.text_encoder)
    inner = getattr(shorter, "text_model", shorter).encoder
    inner.layers = inner.layers[:-1]
    parts = {**sd1.pipe.components, "text_encoder": shorter}
    without = Diffusers(type(sd1.pipe)(**parts, requires_safety_checker=False))
    skipped = crossattn(positive(sd1, "a star", clip_skip=2))
    torch.testing.assert_close(skipped, crossattn(positive(without, "a star")))
    assert not torch.equal(skipped, crossattn(positive(sd1, "a star")))


def test_weights_multiply_and_the_mean_is_restored(sd1: Diffusers) -> None:
    plain = crossattn(positive(sd1, "a red star"))
    weights = torch.ones(77, 1)
    weights[2] = 1.4  # start, "a", "red"
    weighted = plain * weights
    expected = weighted * (plain.mean() / weighted.mean())
    torch.testing.assert_close(crossattn(positive(sd1, "a (red:1.4) star")), expected)


def test_own_chunk_keeps_the_copy_bit_for_bit(host: Diffusers) -> None:
    own = crossattn(positive(host, "a red star BREAK bad, blurry"))
    copy = crossattn(positive(host, "a red star"))
    assert own.shape[0] == 154
    assert torch.equal(own[:77], copy)


def test_an_empty_negative_is_zeros_with_sdxl_only(sd1: Diffusers, sdxl: Diffusers) -> None:
    zeros = sdxl.prepare("a", "", 10, SIZE).negative.at(0)
    assert isinstance(zeros, dict)
    assert not zeros[CROSSATTN].any()
    assert not zeros["text_embeds"].any()
    assert zeros["time_ids"].any()
    assert crossattn(sdxl.prepare("a", " ", 10, SIZE).negative.at(0)).any()
    assert crossattn(sd1.prepare("a", "", 10, SIZE).negative.at(0)).any()


def test_editing_switches_one_call_late(sd1: Diffusers) -> None:
    edited = sd1.prepare("[cat:dog:0.5]", "", 6, SIZE)
    cat, dog = (crossattn(positive(sd1, animal)) for animal in ("cat", "dog"))
    for call, expected in enumerate([cat, cat, cat, cat, dog, dog]):
        torch.testing.assert_close(crossattn(edited.conds(call)[0]), expected)


def test_and_parts_carry_their_weights_and_one_length(host: Diffusers) -> None:
    prepared = host.prepare("a star :0.6 AND " + "many words, " * 40, "", 10, SIZE)
    assert [part.weight for part in prepared.parts] == [0.6, 1.0]
    short, long = (crossattn(cond) for cond in prepared.conds(0))
    assert short.shape == long.shape
    assert torch.equal(short[77:], short[76:77].expand(short.shape[0] - 77, -1))


@pytest.mark.parametrize("text", ["", " ", ",", "BREAK", "(((", "[:a:0.5]", "🙂", "a" * 4000, "AND", "a AND", "\\"])
def test_any_text_can_be_encoded(host: Diffusers, text: str) -> None:
    prepared = host.prepare(text, text, 10, SIZE)
    assert all(crossattn(cond).isfinite().all() for cond in prepared.conds(0))
