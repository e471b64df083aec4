"""Which WebUI this process is, by what it can do and never by its version."""

from __future__ import annotations

from importlib.util import find_spec

from lib_sticky.hosts.base import Host


def webui() -> Host:
    """The adapter of the WebUI that is running. RuntimeError, in words, outside one."""
    if find_spec("modules") is None or find_spec("modules.processing") is None:
        raise RuntimeError("no WebUI is running here; the studio (python run.py) needs none")
    if _exists("backend.sampling.sampling_function"):
        from lib_sticky.hosts.forge import Forge

        return Forge()
    if _exists("ldm_patched.modules.samplers"):
        from lib_sticky.hosts.forge_ldm import ForgeLdm

        return ForgeLdm()
    from lib_sticky.hosts.a1111 import A1111

    return A1111()


def _exists(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False
