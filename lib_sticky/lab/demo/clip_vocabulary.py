"""CLIP's byte-pair vocabulary as the two files that its tokenizers read.

    python -m lib_sticky.lab.demo.clip_vocabulary bpe_simple_vocab_16e6.txt.gz out_folder

The input is the merge list that OpenAI published with CLIP (MIT licence, see NOTICE); the numbering is that of CLIP's
`simple_tokenizer.py`: 256 byte symbols, the same with "</w>", 48894 merges, start and end of text.
"""

from __future__ import annotations

import argparse
import gzip
import json
from pathlib import Path

MERGES = 49152 - 256 - 2


def byte_symbols() -> list[str]:
    """The printable character that stands for each byte, in CLIP's order."""
    plain = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    moved = 256 - len(plain)
    return [chr(b) for b in plain] + [chr(256 + n) for n in range(moved)]


def vocabulary(merge_list: Path) -> tuple[dict[str, int], list[str]]:
    """Token numbers and merge lines from the published merge list."""
    lines = gzip.decompress(merge_list.read_bytes()).decode("utf-8").split("\n")[1 : MERGES + 1]
    symbols = byte_symbols()
    tokens = [*symbols, *(s + "</w>" for s in symbols), *("".join(line.split()) for line in lines)]
    tokens += ["<|startoftext|>", "<|endoftext|>"]
    return {token: number for number, token in enumerate(tokens)}, lines


def main(argv: list[str] | None = None) -> int:
    """Write vocab.json, merges.txt and the tokenizer's settings."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("merge_list", type=Path)
    parser.add_argument("out", type=Path)
    args = parser.parse_args(argv)
    table, lines = vocabulary(args.merge_list)
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "vocab.json").write_text(json.dumps(table, ensure_ascii=False), encoding="utf-8")
    (args.out / "merges.txt").write_text("\n".join(["#version: 0.2", *lines]) + "\n", encoding="utf-8")
    end = "<|endoftext|>"
    settings = {
        "tokenizer_class": "CLIPTokenizer",
        "model_max_length": 77,
        "do_lower_case": True,
        "bos_token": "<|startoftext|>",
        "eos_token": end,
        "pad_token": end,
        "unk_token": end,
    }
    (args.out / "tokenizer_config.json").write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
