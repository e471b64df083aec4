"""Fields, checks, infotext and presets."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib_sticky import config as options
from lib_sticky import infotext
from lib_sticky.config import DEFAULTS, Config, ConfigError, changed, parse, schema
from lib_sticky.presets import BUILT_IN, Presets
from tests.api_payloads.malformed import MALFORMED

CONFIGS = st.builds(
    Config,
    enabled=st.booleans(),
    terms=st.text(max_size=200),
    placement=st.sampled_from(["same chunk", "own chunk"]),
    start=st.floats(0, 0.5),
    stop=st.floats(0.5, 1),
    hires=st.sampled_from(["same", "off"]),
    untitled=st.booleans(),
    null=st.sampled_from(["as the host does", "zeros", "encoded", "same as the positive"]),
    pag=st.floats(0, 10),
    seg=st.sampled_from(["off", "own pass", "in the negative"]),
    dynthres=st.booleans(),
    cfg_start=st.floats(0, 0.5),
    gate=st.floats(0, 100),
)


@pytest.mark.parametrize(("field", "values"), MALFORMED)
def test_malformed_values_are_refused_by_name(field: str, values: Any) -> None:
    with pytest.raises(ConfigError) as refused:
        parse(values)
    assert field in str(refused.value)
    assert refused.value.status_code == 422
    assert refused.value.detail == str(refused.value)
    assert len(str(refused.value)) < 400


@pytest.mark.parametrize("name", DEFAULTS)
@pytest.mark.parametrize("value", [None, [], {}, [[1]], {"value": 1}], ids=repr)
def test_no_field_takes_nothing_a_list_or_a_dict(name: str, value: Any) -> None:
    with pytest.raises(ConfigError) as refused:
        parse({name: value})
    assert refused.value.field == name


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
ANYTHING = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner))


@given(ANYTHING)
def test_anything_at_all_is_a_config_or_a_config_error(values: Any) -> None:
    try:
        assert isinstance(parse(values), Config)
    except ConfigError as error:
        assert str(error).startswith("Sticky: ")


def test_a_huge_integer_is_refused() -> None:
    with pytest.raises(ConfigError, match="start"):
        parse({"start": 10**400})


@pytest.mark.parametrize(("typed", "meant"), [("placment", "placement"), ("term", "terms"), ("Enabled", "enabled")])
def test_an_unknown_field_is_answered_with_the_nearest(typed: str, meant: str) -> None:
    with pytest.raises(ConfigError, match=f"nearest is '{meant}'"):
        parse({typed: 1})


def test_integers_stand_for_numbers_and_choices() -> None:
    assert parse({"placement": 1, "start": 0, "stop": 1}) == Config(placement="own chunk")


@given(CONFIGS)
def test_changed_fields_parse_back(config: Config) -> None:
    assert parse(changed(config)) == config


def test_a_config_cannot_be_changed_in_place() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Config().terms = "x"  # type: ignore[misc]


def test_the_schema_describes_every_field() -> None:
    found = schema()
    assert list(found["properties"]) == [field.name for field in dataclasses.fields(Config)]
    assert found["additionalProperties"] is False
    assert all(entry["title"] and entry["description"] for entry in found["properties"].values())
    json.dumps(found)


def test_labels_are_unique_and_plain() -> None:
    labels = [about.label for about in options.OPTIONS.values()]
    assert len(set(labels)) == len(labels)
    assert all(label.isascii() for label in labels)


@given(CONFIGS)
def test_the_infotext_reads_back(config: Config) -> None:
    text = infotext.dump(config)
    if config.is_on:
        assert text is not None
        assert infotext.load(text) == config
    else:
        assert text is None


def test_the_first_schema_is_read_for_ever() -> None:
    old = '{"v":1,"enabled":true,"terms":"bad","placement":"own chunk","start":0.12,"stop":0.9,"hires":"off"}'
    assert infotext.load(old) == Config(True, "bad", "own chunk", 0.12, 0.9, "off")


def test_a_newer_schema_pastes_what_is_known() -> None:
    assert infotext.load('{"v":9,"enabled":true,"terms":"bad","glow":3}') == Config(True, "bad")


def test_a_field_that_says_how_turns_nothing_on() -> None:
    switched = {name: about for name, about in options.OPTIONS.items() if about.switch}
    how = Config(**{name: other(name) for name in options.DEFAULTS if name not in switched})
    assert not how.is_on
    assert infotext.dump(how) is None
    for name in switched:
        assert Config(**{name: other(name)}).is_on


def other(name: str) -> Any:
    """A value of the field that is not its default; an interval's start and stop stay in order."""
    about, default = options.OPTIONS[name], options.DEFAULTS[name]
    if isinstance(default, bool):
        return not default
    if isinstance(default, float):
        return about.maximum / 2
    return next(choice for choice in about.choices if choice != default) if about.choices else "something else"


def test_the_first_fields_keep_their_positions() -> None:
    assert list(options.DEFAULTS)[:6] == ["enabled", "terms", "placement", "start", "stop", "hires"]


@pytest.mark.parametrize("name", ["cfg", "guidance"])
def test_every_interval_is_checked(name: str) -> None:
    with pytest.raises(ConfigError, match=f"{name}_start"):
        parse({f"{name}_start": 0.6, f"{name}_stop": 0.5})


@pytest.mark.parametrize("text", ["", "x", "[1]", "{}", '{"v":"1"}', '{"v":1,"start":7}', "[" * 100_000])
def test_a_broken_infotext_is_an_error_in_words(text: str) -> None:
    with pytest.raises(ConfigError):
        infotext.load(text)


def test_presets_are_stored_and_read(tmp_path: Path) -> None:
    presets = Presets(tmp_path / "sticky" / "presets.json")
    assert presets.all() == dict(BUILT_IN)
    mine = Config(enabled=True, terms="дом, 猫", start=0.1)
    presets.save("mine", mine)
    assert Presets(presets.path).all() == {**BUILT_IN, "mine": mine}
    presets.delete("mine")
    assert presets.all() == dict(BUILT_IN)
    assert os.listdir(presets.path.parent) == ["presets.json"]


@pytest.mark.parametrize("name", ["", " ", "x" * 81, "a\nb", next(iter(BUILT_IN))])
def test_a_bad_preset_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="preset"):
        Presets(tmp_path / "presets.json").save(name, Config())


@pytest.mark.parametrize("content", ["", "[]", "{", '{"mine": 5}', '{"mine": {"colour": 1}}', "\x00"])
def test_a_damaged_presets_file_is_named_and_kept(tmp_path: Path, content: str) -> None:
    path = tmp_path / "presets.json"
    path.write_text(content)
    with pytest.raises(ConfigError, match="presets"):
        Presets(path).save("mine", Config())
    assert path.read_text() == content


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    presets = Presets(tmp_path / "presets.json")
    presets.save("mine", Config(enabled=True))

    def full(_handle: int) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="disk full"):
        presets.save("other", Config())
    assert set(presets.all()) == {*BUILT_IN, "mine"}
    assert os.listdir(tmp_path) == ["presets.json"]
