"""The page that shows what is in a folder."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from html import escape
from typing import Final
from urllib.parse import quote

_STYLE: Final = """
:root { color-scheme: light dark; --line: #8883; --soft: #777; --rope: #b5762b; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 56rem; margin: 2.5rem auto;
  padding: 0 1.25rem; }
h1 { font-size: 1.25rem; font-weight: 600; overflow-wrap: anywhere; }
h1 span { color: var(--soft); font-weight: 400; }
a { color: inherit; text-decoration: none; }
a:hover, a:focus { color: var(--rope); text-decoration: underline; }
table { width: 100%; border-collapse: collapse; font-variant-numeric: tabular-nums; }
td { border-top: 1px solid var(--line); padding: .4rem .25rem; overflow-wrap: anywhere; }
td + td { color: var(--soft); text-align: right; white-space: nowrap; padding-left: 1.5rem; }
td:first-child { width: 100%; }
td a { display: block; }
.folder a { font-weight: 600; }
footer, p { color: var(--soft); font-size: .85rem; margin-top: 1.5rem; }
@media (max-width: 32rem) { td:nth-child(3) { display: none; } }
"""

_UNITS: Final = ("bytes", "kB", "MB", "GB", "TB")


def directory_page(path: list[str], entries: Iterable[tuple[str, bool, int, float]]) -> str:
    """HTML for a folder at ``path`` (its names) with entries of (name, folder, size, time).

    Folders come first, then files, both by name; numbers within names count as numbers.
    """
    rows: list[str] = []
    if path:
        rows.append('<tr class="folder"><td><a href="../">..</a></td><td></td><td></td></tr>')
    for name, is_folder, size, modified in sorted(entries, key=_order):
        slash = "/" if is_folder else ""
        rows.append(
            f"<tr{' class=folder' if is_folder else ''}>"
            f'<td><a href="./{quote(name, errors="surrogateescape")}{slash}">'
            f"{escape(name)}{slash}</a></td>"
            f"<td>{'' if is_folder else human_size(size)}</td>"
            f"<td>{datetime.fromtimestamp(modified, UTC):%Y-%m-%d %H:%M}</td></tr>"
        )
    if len(rows) > bool(path):
        content = f"<table>\n{chr(10).join(rows)}\n</table>"
    else:
        content = f"<table>\n{chr(10).join(rows)}\n</table>\n<p>This folder is empty.</p>"
    title = escape("/" + "".join(f"{name}/" for name in path))
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        f"<h1>{_trail(path)}</h1>\n{content}\n"
        "<footer>Served over HTTP/3 by Ropewalk. Times are UTC.</footer>\n</body>\n</html>\n"
    )


def human_size(size: int) -> str:
    """A size as people read it: ``1.4 MB``."""
    number = float(size)
    for unit in _UNITS:
        if number < 999.5 or unit == _UNITS[-1]:
            break
        number /= 1000
    return f"{number:.0f} {unit}" if unit == "bytes" or number >= 99.5 else f"{number:.1f} {unit}"


def _trail(path: list[str]) -> str:
    """The path with a link on each folder above."""
    trail = [f'<a href="{"../" * len(path) or "./"}">/</a>']
    for index, name in enumerate(path):
        up = "../" * (len(path) - 1 - index) or "./"
        trail.append(f'<a href="{up}">{escape(name)}</a><span>/</span>')
    return " ".join(trail)


def _order(entry: tuple[str, bool, int, float]) -> tuple[bool, list[tuple[bool, int, str]]]:
    name, is_folder = entry[0].casefold(), entry[1]
    parts: list[tuple[bool, int, str]] = []
    digits = ""
    for character in [*name, ""]:
        if character.isascii() and character.isdigit():
            digits += character
            continue
        if digits:
            parts.append((False, int(digits[:30]), digits))
            digits = ""
        if character:
            parts.append((True, 0, character))
    return not is_folder, parts
