"""Thirty dicts that no client should send, with the field that the answer must name."""

from __future__ import annotations

from typing import Any

MALFORMED: list[tuple[str, Any]] = [
    ("enabled", {"enabled": "yes"}),
    ("enabled", {"enabled": 1}),
    ("enabled", {"enabled": None}),
    ("enabled", {"enabled": [True]}),
    ("enabled", {"enabled": {}}),
    ("terms", {"enabled": True, "terms": None}),
    ("terms", {"enabled": True, "terms": 7}),
    ("terms", {"enabled": True, "terms": ["blurry", "bad"]}),
    ("terms", {"enabled": True, "terms": {"text": "bad"}}),
    ("terms", {"enabled": True, "terms": "x" * 20_001}),
    ("terms", {"enabled": True, "terms": True}),
    ("placement", {"enabled": True, "placement": "own"}),
    ("placement", {"enabled": True, "placement": 2}),
    ("placement", {"enabled": True, "placement": -1}),
    ("placement", {"enabled": True, "placement": None}),
    ("placement", {"enabled": True, "placement": True}),
    ("start", {"enabled": True, "start": "0.5"}),
    ("start", {"enabled": True, "start": -0.1}),
    ("start", {"enabled": True, "start": 1e999}),
    ("start", {"enabled": True, "start": float("nan")}),
    ("start", {"enabled": True, "start": 1 << 62}),
    ("start", {"enabled": True, "start": 0.8, "stop": 0.2}),
    ("stop", {"enabled": True, "stop": 1.5}),
    ("stop", {"enabled": True, "stop": None}),
    ("stop", {"enabled": True, "stop": [1]}),
    ("hires", {"enabled": True, "hires": "always"}),
    ("hires", {"enabled": True, "hires": 9}),
    ("placment", {"enabled": True, "placment": "same chunk"}),
    ("Terms", {"enabled": True, "Terms": "bad"}),
    ("whole value", [1, 2, 3]),
    ("whole value", "enabled"),
    ("whole value", 5),
    ("", {"enabled": True, "": 1}),
    ("terms", {"enabled": True, "\u0000terms": "x"}),
]
