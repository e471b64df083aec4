"""A host without guidance of ours says so, and says nothing where nothing was asked."""

from __future__ import annotations

from types import SimpleNamespace

from lib_sticky.config import Config
from lib_sticky.guidance.selection import Selection
from lib_sticky.hosts.forge import Forge
from lib_sticky.hosts.job import ATTRIBUTE, Job, finish
from lib_sticky.hosts.selected import selected
from lib_sticky.infotext import ACTED_KEY


def test_it_refuses_techniques_in_words() -> None:
    asked = Forge().guide(None, selected(Config(pag=1.0)), None, untitled=False)
    assert asked.refused == ("guidance techniques and a CFG scale of Untitled's own do not act on Forge",)
    assert Forge().guide(None, Selection(), None, untitled=True).refused == ()


def test_the_infotext_says_it() -> None:
    said: list[str] = []
    p = SimpleNamespace(extra_generation_params={}, comment=said.append)
    one = Job(Config(pag=1.0), Forge())
    one.passes.append(Forge().guide(p, selected(one.config), None, untitled=False))
    setattr(p, ATTRIBUTE, one)
    finish(p)
    assert "do not act on Forge" in p.extra_generation_params[ACTED_KEY]
