from __future__ import annotations


def read_mecha(text): raise NotImplementedError
