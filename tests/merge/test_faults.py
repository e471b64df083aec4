"""What must never happen: a hurt input, half an output under its name, a pickle that runs, a silent nothing."""

from __future__ import annotations

import errno
import json
import os
import pickle
import random
import resource
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from lib_sticky.merge import (
    CheckpointError,
    Folders,
    MergeCancelled,
    MergeError,
    Options,
    PlanRefused,
    RecipeError,
    compose,
    merge,
)
from lib_sticky.merge.checkpoint_io import CheckpointReader
from lib_sticky.merge.command import main
from lib_sticky.merge.output_file import OutputFile

ROOT = Path(__file__).parents[2]


def raw(header: object, data: bytes = b"", length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def entry(dtype: object = "F16", shape: object = (2,), offsets: object = (0, 4)) -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


class Trap:
    def __reduce__(self):
        return (os.system, ("touch /tmp/merge-pickle-ran",))


MALFORMED: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "too few"),
    "three bytes": (b"abc", "too few"),
    "header longer than the file": (raw({}, length=10**6), "truncated"),
    "giant header": (raw({}, length=2**63), "not allowed"),
    "not JSON": (raw(b"{nonsense"), "not JSON"),
    "not UTF-8": (raw(b'{"\xff": 1}'), "not JSON"),
    "not an object": (raw([1, 2]), "not a JSON object"),
    "deeply nested": (raw(b'{"a":' + b"[" * 200_000 + b"]" * 200_000 + b"}"), "not JSON|lacks dtype"),
    "key twice": (raw(b'{"a": {}, "a": {}}'), "twice"),
    "metadata is a number": (raw({"__metadata__": {"a": 1}}), "only strings"),
    "metadata is a list": (raw({"__metadata__": []}), "only strings"),
    "entry lacks shape": (raw({"a": {"dtype": "F16", "data_offsets": [0, 4]}}, b"0" * 4), "lacks"),
    "entry is text": (raw({"a": "F16"}), "lacks"),
    "unknown dtype": (raw({"a": entry("F17")}, b"0" * 4), "F17"),
    "wrong dtype": (raw({"a": entry("F32")}, b"0" * 4), "needs 8 bytes"),
    "negative shape": (raw({"a": entry(shape=[-2])}, b"0" * 4), "whole numbers"),
    "shape of floats": (raw({"a": entry(shape=[2.0])}, b"0" * 4), "whole numbers"),
    "shape too large": (raw({"a": entry(shape=[2**40, 2**40])}, b"0" * 4), "needs"),
    "negative offsets": (raw({"a": entry(offsets=[-4, 0])}, b"0" * 4), "whole numbers"),
    "offsets turned": (raw({"a": entry(offsets=[4, 0])}, b"0" * 4), "needs 4 bytes"),
    "three offsets": (raw({"a": entry(offsets=[0, 2, 4])}, b"0" * 4), "two whole numbers"),
    "overlap": (raw({"a": entry(), "b": entry(offsets=[2, 6])}, b"0" * 6), "overlaps"),
    "hole": (raw({"a": entry(), "b": entry(offsets=[6, 10])}, b"0" * 10), "belong to no tensor"),
    "truncated data": (raw({"a": entry()}, b"0" * 3), "truncated"),
    "bytes after the end": (raw({"a": entry()}, b"0" * 5), "longer than its tensors"),
    "zip pickle": (b"PK\x03\x04" + b"0" * 60, "pickle"),
    "bare pickle": (pickle.dumps(Trap()), "pickle"),
    "Git LFS pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "Git LFS"),
    "web page": (b"<!DOCTYPE html><html>", "web page"),
}


@pytest.mark.parametrize("kind", MALFORMED)
def test_malformed_input_is_refused_in_words(bench, kind: str) -> None:
    content, words = MALFORMED[kind]
    paths, _ = bench.models(1)
    bad = bench.folder / "bad.safetensors"
    bad.write_bytes(content)
    with pytest.raises(CheckpointError, match=words) as error:
        bench.method("weighted_sum", [paths[0], str(bad)])
    assert "bad.safetensors" in str(error.value)
    assert bad.read_bytes() == content
    assert not os.path.exists("/tmp/merge-pickle-ran")
    assert sorted(path.name for path in bench.folder.iterdir()) == ["bad.safetensors", "m0.safetensors"]


def test_a_folder_or_a_pipe_is_not_a_checkpoint(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(CheckpointError, match="regular file"):
            CheckpointReader(path)


@pytest.mark.parametrize("name", ["/etc/passwd", "../x.safetensors", "a/../../x", "C:\\x.safetensors", "a\0b"])
def test_names_that_lead_out_of_the_folders_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(RecipeError, match="refused"):
        Folders([tmp_path]).find(name)


def test_a_link_out_of_the_folders_is_refused(tmp_path: Path) -> None:
    inside, outside = tmp_path / "in", tmp_path / "out"
    inside.mkdir(), outside.mkdir()
    (outside / "x.safetensors").write_bytes(b"")
    (inside / "x.safetensors").symlink_to(outside / "x.safetensors")
    with pytest.raises(RecipeError, match="link that leads out"):
        Folders([inside]).find("x.safetensors")
    (inside / "own.safetensors").write_bytes(b"")
    (inside / "alias.safetensors").symlink_to(inside / "own.safetensors")
    assert Folders([inside]).find("alias") == inside / "alias.safetensors"


def test_a_name_that_two_files_have_is_refused_and_both_are_named(tmp_path: Path) -> None:
    for place in ("a/x.safetensors", "b/x.safetensors"):
        (tmp_path / place).parent.mkdir()
        (tmp_path / place).write_bytes(b"")
    with pytest.raises(RecipeError, match=r"a/x\.safetensors and .*b/x\.safetensors"):
        Folders([tmp_path]).find("x")
    with pytest.raises(RecipeError, match="rename one"):
        Folders([tmp_path / "a", tmp_path / "b"]).find("x.safetensors")
    assert Folders([tmp_path]).find("b/x") == tmp_path / "b" / "x.safetensors"
    (tmp_path / "b" / "x.safetensors").unlink()
    (tmp_path / "b" / "x.safetensors").symlink_to(tmp_path / "a" / "x.safetensors")
    assert Folders([tmp_path]).find("x") is not None


def test_a_lora_and_a_checkpoint_may_share_a_name(tmp_path: Path) -> None:
    for place in ("models", "loras"):
        (tmp_path / place).mkdir()
        (tmp_path / place / "x.safetensors").write_bytes(b"")
    folders = Folders([tmp_path / "models"], [tmp_path / "loras"])
    assert folders.find("x") == tmp_path / "models" / "x.safetensors"
    assert folders.find("x", lora=True) == tmp_path / "loras" / "x.safetensors"
    (tmp_path / "loras" / "x.safetensors").unlink()
    assert folders.find("x", lora=True) is None


def test_output_that_is_an_input_is_refused_and_nothing_changes(bench) -> None:
    paths, _ = bench.models(2)
    before = [Path(path).read_bytes() for path in paths]
    os.link(paths[1], bench.folder / "hard.safetensors")
    os.symlink(paths[0], bench.folder / "soft.safetensors")
    for target in ("m0", "m1", "hard", "soft"):
        with pytest.raises(PlanRefused, match="also an input"):
            bench.run(compose("weighted_sum", paths, {}), target)
    assert [Path(path).read_bytes() for path in paths] == before
    assert not list(bench.folder.glob("*.partial*"))


def test_existing_output_is_kept_unless_replacing_is_allowed(bench) -> None:
    paths, _ = bench.models(2)
    (bench.folder / "out.safetensors").write_bytes(b"mine")
    with pytest.raises(MergeError, match="--overwrite"):
        merge(compose("average", paths, {}), bench.folder / "out.safetensors", Folders(), Options())
    assert (bench.folder / "out.safetensors").read_bytes() == b"mine"


def test_input_changed_during_the_merge_is_noticed(bench) -> None:
    paths, _ = bench.models(2)

    def touch(*_: object) -> None:
        os.utime(paths[1], ns=(0, 0))

    with pytest.raises(MergeError, match=r"m1\.safetensors changed"):
        bench.run(compose("weighted_sum", paths, {}), progress=touch)
    assert not list(bench.folder.glob("out*"))


def test_not_a_number_is_traced_to_its_input(bench) -> None:
    paths, models = bench.models(2)
    models[1]["unet.a.bias"][3] = float("nan")
    bad = bench.write("bad", models[1])
    with pytest.raises(MergeError, match=r"unet\.a\.bias.*bad\.safetensors"):
        bench.method("weighted_sum", [paths[0], bad])
    assert not list(bench.folder.glob("out*"))


def test_overflow_of_the_format_is_named(bench) -> None:
    paths = [bench.write(name, {"w": torch.tensor([value]).half()}) for name, value in (("a", 6e4), ("b", -6e4))]
    with pytest.raises(MergeError, match="does not fit F16"):
        bench.method("weighted_sum", paths, {"alpha": -1.0})


BIG = {f"layer{index}.weight": (700, 800) for index in range(12)}


def test_cancel_leaves_nothing(bench) -> None:
    paths, _ = bench.models(2, BIG)
    with pytest.raises(MergeCancelled):
        bench.run(compose("weighted_sum", paths, {"alpha": 0.3}), cancelled=lambda: True)
    assert not list(bench.folder.glob("out*"))


@pytest.mark.usefixtures("megabyte_chunks")
@pytest.mark.parametrize("fail_at", range(10))
def test_disk_that_fills_up_during_the_work(bench, monkeypatch, fail_at: int) -> None:
    paths, _ = bench.models(2, BIG)
    before = [Path(path).read_bytes() for path in paths]
    calls = iter(range(1000))
    write = OutputFile._write_at

    def full(self: OutputFile, offset: int, view: memoryview) -> int:
        if next(calls) >= fail_at:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(self, offset, view)

    monkeypatch.setattr(OutputFile, "_write_at", full)
    with pytest.raises(MergeError, match="Free space and run again"):
        bench.run(compose("weighted_sum", paths, {"alpha": 0.3}))
    assert not list(bench.folder.glob("out*"))
    assert [Path(path).read_bytes() for path in paths] == before
    monkeypatch.undo()
    assert bench.run(compose("weighted_sum", paths, {"alpha": 0.3}))[1].bytes > 0


def run_command(folder: Path, *words: str, before: Callable[[], None] | None = None) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "lib_sticky.merge", *words],
        cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(folder / "cache")},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, preexec_fn=before,  # noqa: PLW1509 (the test has no threads of its own)
    )  # fmt: skip


def test_a_limit_on_file_size_is_met_before_any_work(bench) -> None:
    paths, _ = bench.models(2, BIG)

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))

    process = run_command(bench.folder, *paths, "-o", "out.safetensors", "--no-hash", "--quiet", before=limit)
    assert "no room for" in process.communicate(timeout=120)[0] and process.returncode == 1
    assert not list(bench.folder.glob("out*"))


def kill_at_random_moments(bench, kills: int, seed: int) -> None:
    """Kill the command at random moments until it has been killed often enough, then let it finish."""
    # Slow enough to be met in the middle: a method with two passes, over more tensors than a moment's work.
    keys = {f"layer{index}.weight": (500, 500) for index in range(100)}
    paths, _ = bench.models(5, keys)
    before = [Path(path).read_bytes() for path in paths]
    words = ["--method", "tgmd", "--base", paths[0], *paths[1:], "--workers", "1", "--quiet"]
    whole = run_command(bench.folder, *words, "-o", "whole.safetensors")
    assert whole.wait(timeout=300) == 0
    rng, resumed = random.Random(seed), 0
    out, journal = bench.folder / "out.safetensors", bench.folder / "out.safetensors.partial.journal"

    def finished_parts() -> int:
        return journal.read_bytes().count(b"\n") if journal.exists() else 0

    for number in range(kills):
        wanted = finished_parts() + rng.randint(1, 12)
        process = run_command(bench.folder, *words, "-o", "out.safetensors")
        deadline = time.monotonic() + (rng.uniform(0.0, 3.0) if number % 4 == 3 else 60.0)
        while process.poll() is None and finished_parts() < wanted and time.monotonic() < deadline:
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        process.wait()
        if out.exists():
            assert out.read_bytes() == (bench.folder / "whole.safetensors").read_bytes()
            out.unlink()
        resumed += finished_parts() > 1
    process = run_command(bench.folder, *words, "-o", "out.safetensors")
    assert process.wait(timeout=300) == 0
    assert out.read_bytes() == (bench.folder / "whole.safetensors").read_bytes()
    assert [Path(path).read_bytes() for path in paths] == before
    assert not list(bench.folder.glob("*.partial*"))
    assert resumed > 0


def test_kill_and_resume(bench) -> None:
    kill_at_random_moments(bench, kills=1, seed=1)


@pytest.mark.slow
def test_kill_fifty_times_and_resume(bench) -> None:
    kill_at_random_moments(bench, kills=50, seed=2)


def test_a_journal_of_another_recipe_is_not_gone_on_with(bench) -> None:
    paths, models = bench.models(2)
    out = bench.folder / "out.safetensors"
    (bench.folder / "out.safetensors.partial").write_bytes(b"x" * 5000)
    (bench.folder / "out.safetensors.partial.journal").write_bytes(b'{"recipe": "other"}\n0\n1\n')
    got, report = bench.run(compose("weighted_sum", paths, {}))
    assert report.resumed_parts == 0 and out.exists()
    torch.testing.assert_close(got["unet.a.bias"], (models[0]["unet.a.bias"] + models[1]["unet.a.bias"]) / 2)


def test_two_merges_into_one_file_do_not_meet(bench) -> None:
    from lib_sticky.merge.journal import Journal

    first = Journal(bench.folder / "out.safetensors", {})
    with pytest.raises(MergeError, match="another merge"):
        Journal(bench.folder / "out.safetensors", {})
    first.remove()
    Journal(bench.folder / "out.safetensors", {}).remove()


def test_the_command_says_why_and_ends_with_1(bench, capsys) -> None:
    paths, _ = bench.models(2)
    assert main([*paths, "-o", str(bench.folder / "o.safetensors"), "--method", "blend"]) == 1
    assert "no method 'blend'" in capsys.readouterr().err
    assert main([paths[0], "gone.safetensors", "-o", str(bench.folder / "o.safetensors")]) == 1
    assert "gone.safetensors" in capsys.readouterr().err


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from Linux's /proc")
def test_memory_does_not_grow_with_the_model(bench) -> None:
    """Peak resident memory of a 600 MB merge stays under the 300 MB of the promise, torch included."""
    for name in ("a", "b"):
        chunk = torch.randn(1 << 20, generator=torch.Generator().manual_seed(ord(name))).half()
        tensors = {f"w{index}": chunk.repeat(10).roll(index) for index in range(15)}
        save_file(tensors, bench.folder / f"{name}.safetensors")
    code = (
        "import pathlib, re, sys; from lib_sticky.merge.command import main; assert main(sys.argv[1:]) == 0; "
        "print('peak', re.search(r'VmHWM:\\s+(\\d+)', pathlib.Path('/proc/self/status').read_text())[1])"
    )
    words = [str(bench.folder / name) for name in ("a.safetensors", "b.safetensors")]
    done = subprocess.run(
        [sys.executable, "-c", code, *words, "-o", str(bench.folder / "o.safetensors"), "--quiet", "--no-hash"],
        env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=300, check=True,
    )  # fmt: skip
    assert int(done.stdout.rpartition("peak ")[2]) < 300_000
    assert len(load_file(bench.folder / "o.safetensors")) == 15
