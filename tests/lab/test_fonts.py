"""Labels with the Pillow versions that hosts pin."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageFont

from lib_sticky.lab import fonts


@pytest.fixture
def old_pillow(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Pillow before 10.1: `load_default` takes no size and gives a bitmap font."""
    monkeypatch.setattr(ImageFont, "load_default", ImageFont.load_default_imagefont)
    forget()
    yield monkeypatch
    forget()


def forget() -> None:
    for cached in (fonts.font, fonts.width_of, fonts._stamp):
        cached.cache_clear()


def drawn(text: str) -> int:
    picture = Image.new("RGB", (200, 30), (255, 255, 255))
    fonts.write(picture, (2, 2), text, 15, (0, 0, 0))
    return int((np.asarray(picture) < 128).all(axis=-1).sum())


def test_text_is_written_and_measured() -> None:
    assert drawn("A2 − sticky") > 20
    assert fonts.width_of("sticky sticky", 15) > fonts.width_of("sticky", 15) > fonts.width_of("sticky", 12) > 20


def test_an_old_pillow_takes_a_font_of_the_system_or_its_own_small_one(old_pillow: pytest.MonkeyPatch) -> None:
    def none(*_args: Any) -> Any:
        raise OSError

    old_pillow.setattr(ImageFont, "truetype", none)
    assert drawn("A2 − sticky") > 20
    assert fonts.width_of("sticky sticky", 15) > fonts.width_of("sticky", 15) > 20
