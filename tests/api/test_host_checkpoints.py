"""What is asked of a WebUI about its files, on a fake one with the hosts' names and shapes."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from lib_sticky.hosts import host_api
from lib_sticky.hosts.checkpoints import UNSAVED, ForgeCheckpoints, LoadFailed, WebUICheckpoints
from lib_sticky.merge import RecipeError


class FakeHost:
    """The parts of `modules.*` that deal with files; keeps what it was told to load."""

    def __init__(self, root: Path, put: Callable[[str, Any], None]) -> None:
        self.folder, self.vaes, self.loras = (root / name for name in ("Stable-diffusion", "VAE", "Lora"))
        for folder in (self.folder, self.vaes, self.loras):
            folder.mkdir()
        self.root, self.loaded, self.lock = root, list[str](), threading.Lock()
        self.known: dict[str, dict[str, Any]] = {}
        self.breaks = False
        self.flags = SimpleNamespace(ckpt_dir=None, vae_dir=None, lora_dir=str(self.loras), api_auth=None, api=True,
                                     ckpt=str(root / "model.ckpt"), nowebui=False)  # fmt: skip
        self.listed: dict[str, SimpleNamespace] = {}
        self.opts = SimpleNamespace(data={"sd_model_checkpoint": "old"}, set=self.set_option)
        put("shared", SimpleNamespace(cmd_opts=self.flags, opts=self.opts))
        put("sd_vae", SimpleNamespace(vae_path=str(self.vaes)))
        put("sd_models", SimpleNamespace(model_path=str(self.folder), checkpoints_list=self.listed,
                                         list_models=self.refresh, forge_model_reload=self.reload))  # fmt: skip
        hashes = SimpleNamespace(
            cache=lambda _kind: self.known, dump_cache=lambda: None, sha256_from_cache=self.hash_of
        )
        put("hashes", hashes)
        put("call_queue", SimpleNamespace(queue_lock=self.lock))

    def add(self, name: str) -> Path:
        path = self.root / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x")
        return path

    def hash_of(self, _path: str, title: str) -> str | None:
        return self.known.get(title, {}).get("sha256")

    def refresh(self) -> None:
        self.listed.clear()
        if Path(self.flags.ckpt).exists():
            self.opts.data["sd_model_checkpoint"] = Path(self.flags.ckpt).name
        for path in self.folder.rglob("*.safetensors"):
            name = path.relative_to(self.folder).as_posix()
            self.listed[name] = SimpleNamespace(filename=str(path), title=f"{name} [0123456789]")

    def set_option(self, key: str, value: str) -> bool:
        assert key == "sd_model_checkpoint"
        assert not self.lock.locked(), "the option's own callback takes the lock"
        self.loaded.append(value)
        return not self.breaks

    def change(self, title: str, save: bool) -> None:
        assert not save, "an unsaved merge must not become the checkpoint of the next start"
        self.loaded.append(title)

    def reload(self) -> None:
        assert self.lock.locked()
        if self.breaks:
            raise ValueError("no such layout")


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeHost:
    package = ModuleType("modules")
    monkeypatch.setitem(sys.modules, "modules", package)

    def put(name: str, module: Any) -> None:
        monkeypatch.setitem(sys.modules, f"modules.{name}", module)
        setattr(package, name, module)

    made = FakeHost(tmp_path, put)
    entry = SimpleNamespace(refresh_models=made.refresh, checkpoint_change=made.change)
    forge: Any = ModuleType("modules_forge")
    forge.main_entry = entry
    monkeypatch.setitem(sys.modules, "modules_forge", forge)
    monkeypatch.setitem(sys.modules, "modules_forge.main_entry", entry)  # type: ignore[arg-type]
    return made


def test_lists_name_files_inside_their_folders(host: FakeHost) -> None:
    for name in ("Stable-diffusion/b.safetensors", "Stable-diffusion/sub/A.safetensors", "Stable-diffusion/old.ckpt",
                 "Stable-diffusion/b.vae.safetensors", f"Stable-diffusion/{UNSAVED}/t.safetensors",
                 "VAE/v.safetensors", "VAE/v.pt", "Lora/l.safetensors"):  # fmt: skip
        host.add(name)
    files = WebUICheckpoints()
    assert files.models() == ["b.safetensors", "sub/A.safetensors"]
    assert files.vaes() == ["b.vae.safetensors", "v.safetensors"]
    assert files.loras() == ["l.safetensors"]
    assert files.folders().find("sub/A.safetensors") == host.folder / "sub/A.safetensors"
    with pytest.raises(RecipeError):
        files.folders().find("../VAE/v.safetensors")


def test_the_checkpoint_folder_of_the_command_line_comes_first(host: FakeHost, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    host.flags.ckpt_dir = str(tmp_path / "mine")
    assert WebUICheckpoints().folder() == tmp_path / "mine"


@pytest.mark.parametrize("files", [WebUICheckpoints(), ForgeCheckpoints()], ids=["A1111", "Forge"])
def test_a_file_is_loaded_by_its_title_under_the_hosts_lock(host: FakeHost, files: WebUICheckpoints) -> None:
    path = host.add("Stable-diffusion/new.safetensors")
    files.load(path)
    assert host.loaded == ["new.safetensors [0123456789]"]
    assert not host.lock.locked()


@pytest.mark.parametrize("files", [WebUICheckpoints(), ForgeCheckpoints()], ids=["A1111", "Forge"])
def test_listing_leaves_the_chosen_checkpoint_where_the_host_began_with_another(
    host: FakeHost, files: WebUICheckpoints
) -> None:
    assert files.pinned() == ""
    host.add("model.ckpt")
    files.refresh()
    assert host.opts.data == {"sd_model_checkpoint": "old"}
    assert "chooses model.ckpt again (--ckpt)" in files.pinned()
    del host.flags.ckpt
    assert files.pinned() == ""


@pytest.mark.parametrize("files", [WebUICheckpoints(), ForgeCheckpoints()], ids=["A1111", "Forge"])
def test_a_folder_of_models_may_be_a_link(host: FakeHost, files: WebUICheckpoints) -> None:
    elsewhere = host.folder.rename(host.root / "elsewhere")
    host.folder.symlink_to(elsewhere, target_is_directory=True)
    host.add("Stable-diffusion/new.safetensors")
    assert files.folder() == elsewhere
    files.load(files.folder() / "new.safetensors")
    assert host.loaded == ["new.safetensors [0123456789]"]


@pytest.mark.parametrize("files", [WebUICheckpoints(), ForgeCheckpoints()], ids=["A1111", "Forge"])
def test_what_cannot_be_loaded_is_said(host: FakeHost, files: WebUICheckpoints) -> None:
    host.breaks = True
    with pytest.raises(LoadFailed, match=r"new\.safetensors was written but could not be loaded"):
        files.load(host.add("Stable-diffusion/new.safetensors"))
    assert not host.lock.locked()


def test_hashes_go_under_the_titles_that_the_webui_looks_up(host: FakeHost) -> None:
    hashes = WebUICheckpoints().hashes()
    path = host.add("Stable-diffusion/sub/a.safetensors")
    assert hashes.get(path) is None
    hashes.put(path, "abc")
    assert host.known == {"checkpoint/sub/a.safetensors": {"mtime": path.stat().st_mtime, "sha256": "abc"}}
    assert hashes.get(path) == "abc"


def test_accounts_are_read_as_the_webui_reads_them(host: FakeHost) -> None:
    assert host_api.accounts() == {}
    host.flags.api_auth = "ann:one,bob:two"
    assert host_api.accounts() == {"ann": "one", "bob": "two"}
    assert host_api.serves_api()
    host.flags.api = False
    assert not host_api.serves_api()
