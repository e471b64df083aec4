"""What all tabs say in the same way: remarks, refusals, times and queues as HTML."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence


def said(words: str) -> str:
    """A remark in a box of its own."""
    return f"<div class='sticky-preview'>{html.escape(words)}</div>"


def refused(words: str) -> str:
    """A refusal, or what went wrong."""
    return f"<div class='sticky-preview' role='alert'>{warned([words.removeprefix('Sticky: ')])}</div>"


def warned(words: Iterable[str]) -> str:
    """A line for each warning."""
    return lines("sticky-warning", words)


def lines(kind: str, words: Iterable[str]) -> str:
    """A line for each of `words`, of one CSS class."""
    return "".join(f"<div class='{kind}'>{html.escape(line)}</div>" for line in words)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Rows below the names of their columns."""
    top = "".join(f"<th scope='col'>{html.escape(name)}</th>" for name in head)
    body = "".join(f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f"<div class='sticky-scroll'><table class='sticky-table'><tr>{top}</tr>{body}</table></div>"


def progress(done: int, total: int) -> str:
    """A bar."""
    return f"<progress value='{done}' max='{total}' aria-label='Progress'></progress>"


def duration(seconds: float) -> str:
    """A time in words."""
    if seconds < 90:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def queue(body: str, active: bool, token: str) -> str:
    """A queue of jobs. The page's script asks again while it is active, and acts when the token changes."""
    about = f"data-active='{int(active)}' data-finished='{html.escape(token, quote=True)}'"
    return f"<div class='sticky-preview sticky-jobs' {about}>{body}</div>"
