"""From the log of the study to its tables, in Markdown, and into docs/CLAIMS.md."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from PIL import Image

from benchmarks.claims_plan import SHOWN, Claim, Study
from benchmarks.claims_statistics import COLUMNS, Found, Key, Log, by_number, compared, holm_over, is_share
from lib_sticky.guidance.effective_cfg import effective_scale, gain_for
from lib_sticky.lab.intervals import bootstrap, wilson
from lib_sticky.lab.labelled import labelled
from lib_sticky.lab.significance import LEAST_PICTURES, verdict

DOCS = Path(__file__).resolve().parents[1] / "docs"
BEGIN, END = "<!-- figures: python -m benchmarks.claims --docs -->", "<!-- end of the figures -->"
_MORE = ("right colour", "blank", "contrast", "high frequency share", "latent peak, last step", "guidance push, mean")
_PERCENT = {"right", "right colour", "clean", "nothing there", "blank", "clipped", "high frequency share"}
_FAMILIAR = 7.0
_SHEET = "![Prompts in rows, cells in columns](pictures/claims.png)"


def write_figures(
    folder: Path, studies: Sequence[Study], log: Log, halves: Mapping[str, Sequence[bool]], about: Mapping[str, object],
    *, docs: bool,
) -> Path:  # fmt: skip
    """Write claims.md in `folder`, the sheet of pictures beside it, and both into docs/ where `docs` asks for it."""
    found = holm_over({
        (claim, pair): compared(log, pair, halves.get(claim.half))
        for study in studies for claim in study.claims for pair in claim.pairs
    })  # fmt: skip
    parts = [_facts(log, about), _SHEET, *_scales(log)]
    for study in studies:
        parts += [f"### {study.title}", _claims(study.claims, found)]
        if any(cell.name in log for cell in study.cells):
            parts.append(_cells(study, log))
    text = "\n\n".join(parts) + "\n"
    path = folder / "claims.md"
    path.write_text(text, encoding="utf-8")
    shown = _sheet(folder)
    if shown:
        shown.save(folder / "sheet.png")
    if docs:
        if shown:
            shown.save(DOCS / "pictures" / "claims.png", optimize=True)
        page = DOCS / "CLAIMS.md"
        before, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
        _, _, after = rest.partition(END)
        page.write_text(f"{before}{BEGIN}\n\n{text}\n{END}{after}", encoding="utf-8")
    return path


def _facts(log: Log, about: Mapping[str, object]) -> str:
    pictures = sum(len(made.said) for blocks in log.values() for made in blocks.values())
    seconds = sum(made.seconds for blocks in log.values() for made in blocks.values())
    sizes = [sum(len(made.said) for made in blocks.values()) for blocks in log.values()]
    if not sizes:
        return "Nothing was measured yet."
    each = seconds / pictures
    return (
        f"Model `{about['file']}` (sha256 {str(about['model'])[:12]}…), UNet in {about['dtype']}, Euler, prompts of "
        "its world that training did not use, picture i from prompt i and noise i in every cell. "
        f"{len(sizes)} cells of {min(sizes)} to {max(sizes)} pictures, {pictures:,} in all, "
        f"{seconds / 60:.0f} minutes of one core "
        f"({each:.2f} s a picture; 1,000 a cell would take {1000 * len(sizes) * each / 3600:.0f} hours).\n\n"
        f"`{about['command']}`\n\n"
        "Differences are means over pairs (same prompt, same noise) with a 95% bootstrap interval, shares in points. "
        "† is p < 0.05 after Holm's correction for every figure of every claim on this page (exact sign test, "
        f"McNemar's for shares). Verdict words need {LEAST_PICTURES:,} pairs."
    )


def _scales(log: Log) -> Iterator[str]:
    """What the scale of each probed sticky cell amounts to."""
    lines = ["| cell | pushes as far as plain CFG | by step | alpha | prompt guided at about | for 7, set CFG to |",
             "| --- | --- | --- | --- | --- | --- |"]  # fmt: skip
    for cell, blocks in log.items():
        made = blocks.get(0)
        if made is None or not made.probes:
            continue
        ratios = [ratio for _, ratio, _ in made.probes]
        alpha = statistics.median(alpha for *_, alpha in made.probes)
        steps = sorted({step for step, *_ in made.probes})
        by_step = ", ".join(
            f"{step}: {effective_scale(made.scale, statistics.median(r for s, r, _ in made.probes if s == step)):.3g}"
            for step in steps
        )
        felt = effective_scale(made.scale, statistics.median(ratios))
        lines.append(
            f"| {cell} | {felt:.3g} | {by_step} | {alpha:.2f} | {1 + (made.scale - 1) * (1 - alpha):.3g} | "
            f"{gain_for(_FAMILIAR, ratios, 60):.3g} |"
        )
    if len(lines) > 2:
        count = max(len(made.said) for blocks in log.values() for made in blocks.values())
        yield f"### Effective scale and dilution\n\nMedians over {count} prompts and three probed steps."
        yield "\n".join(lines)


def _claims(claims: Sequence[Claim], found: Mapping[Key, Mapping[str, Found]]) -> str:
    lines = ["| claim | pair | pairs | " + " | ".join(COLUMNS) + " | verdict |",
             "| --- | --- | --- |" + " --- |" * (len(COLUMNS) + 1)]  # fmt: skip
    for claim in claims:
        for index, pair in enumerate(claim.pairs):
            figures = found[claim, pair]
            cells = [_change(name, figures[name]) if name in figures else "" for name in COLUMNS]
            pairs = max((each.pairs for each in figures.values()), default=0)
            said = claim.says if index == 0 else ""
            lines.append(f"| {said} | {pair[0]} − {pair[1]} | {pairs} | {' | '.join(cells)} | {_verdict(figures)} |")
    return "\n".join(lines)


def _verdict(figures: Mapping[str, Found]) -> str:
    if not figures:
        return "not run yet"
    if min(each.pairs for each in figures.values()) < LEAST_PICTURES:
        return "none: too few"
    return "; ".join(f"{name} {verdict(each.change, each.corrected, each.pairs)}" for name, each in figures.items())


def _change(name: str, found: Found) -> str:
    unit, form = (100, "+.1f") if name in _PERCENT else (1, "+.3f")
    value, low, high = (
        f"{unit * number:{form}}".replace("-", "−")
        for number in (found.change.value, found.change.low, found.change.high)
    )
    return f"{value} [{low}, {high}]{' †' if found.corrected < 0.05 else ''}"


def _cells(study: Study, log: Log) -> str:
    names = [name for name in (*COLUMNS, *_MORE) if any(by_number(log, cell.name, name) for cell in study.cells)]
    lines = ["| cell | pictures | " + " | ".join(f"{name} %" if name in _PERCENT else name for name in names) + " |",
             "| --- | --- |" + " --- |" * len(names)]  # fmt: skip
    for cell in study.cells:
        if cell.name not in log:
            continue
        scale = next(iter(log[cell.name].values())).scale
        label = f"{cell.name}: {scale:g}" if cell.matched else cell.name
        figures = [_value(log, cell.name, name) for name in names]
        count = len(by_number(log, cell.name, "clipped"))
        lines.append(f"| {label} | {count} | {' | '.join(figures)} |")
    return "\n".join(lines)


def _value(log: Log, cell: str, name: str) -> str:
    values = list(by_number(log, cell, name).values())
    if not values:
        return ""
    if is_share(log, cell, name):
        found = wilson(round(sum(values)), len(values))
        return f"{100 * found.value:.0f} [{100 * found.low:.0f}, {100 * found.high:.0f}]"
    found = bootstrap(values)
    unit, form = (100, ".1f") if name in _PERCENT else (1, ".3f")
    return f"{unit * found.value:{form}} [{unit * found.low:{form}}, {unit * found.high:{form}}]"


def _sheet(folder: Path) -> Image.Image | None:
    """The kept pictures of the cells in SHOWN that are there, a column each."""
    kept = {cell.name: sorted((folder / "pictures" / cell.name).glob("*.png")) for cell in SHOWN}
    columns = [name for name, files in kept.items() if files]
    if not columns:
        return None
    pictures = [[Image.open(kept[name][row]) for name in columns] for row in range(len(kept[columns[0]]))]
    return labelled(
        "The same prompt and noise in each row", columns, [str(row + 1) for row in range(len(pictures))], pictures
    )
