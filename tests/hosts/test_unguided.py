"""A host without a way in for guidance says so, and says nothing where nothing was asked."""

from __future__ import annotations

from types import SimpleNamespace

from lib_sticky.config import Config
from lib_sticky.guidance.selection import Selection
from lib_sticky.hosts.forge import Forge
from lib_sticky.hosts.job import ATTRIBUTE, Job, finish, report
from lib_sticky.hosts.selected import selected
from lib_sticky.infotext import ACTED_KEY, REPORT_KEY

WITHOUT = SimpleNamespace(forge_objects=SimpleNamespace(unet=SimpleNamespace()))


def test_it_refuses_techniques_in_words() -> None:
    p = SimpleNamespace(sd_model=WITHOUT)
    asked = Forge().guide(p, selected(Config(pag=1.0)), None, untitled=False)
    assert asked.refused == ("guidance techniques and a CFG scale of Untitled's own do not act on this Forge",)
    assert Forge().guide(p, Selection(), None, untitled=True).refused == ()


def test_the_infotext_says_it() -> None:
    said: list[str] = []
    p = SimpleNamespace(extra_generation_params={}, comment=said.append, sd_model=WITHOUT)
    one = Job(Config(pag=1.0), Forge())
    one.passes.append(Forge().guide(p, selected(one.config), None, untitled=False))
    setattr(p, ATTRIBUTE, one)
    finish(p)
    assert "do not act on this Forge" in p.extra_generation_params[ACTED_KEY]
    processed = SimpleNamespace(extra_generation_params=p.extra_generation_params)
    report(p, processed)
    assert "do not act" in processed.extra_generation_params[REPORT_KEY][0]["refused"][0]
    assert REPORT_KEY not in p.extra_generation_params
