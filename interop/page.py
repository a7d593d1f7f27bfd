"""The page that a browser loads: 100 small resources, and a script that tells how each came."""

from __future__ import annotations

from pathlib import Path

IMAGES, STYLES, SCRIPTS = 60, 20, 20
RESOURCES = IMAGES + STYLES + SCRIPTS

_HEAD = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>One hundred resources</title>
<link rel="icon" href="data:,">
<style>
body { font: 16px/1.4 sans-serif; margin: 24px; color: #223; }
.tiles { display: grid; grid-template-columns: repeat(20, 40px); gap: 4px; }
.tiles > * { width: 40px; height: 40px; background: #ddd; }
.script { font: 11px/40px monospace; text-align: center; }
#verdict { font-size: 20px; margin: 16px 0; }
td { padding: 0 12px 0 0; }
</style>
"""

# PerformanceResourceTiming names what the browser itself says each resource came over; the
# page's own entry is the navigation.
_TELL = """<script>
addEventListener("load", () => setTimeout(() => {
  const page = performance.getEntriesByType("navigation")[0];
  const all = performance.getEntriesByType("resource").filter(e => e.name.includes("/page/"));
  const counts = {};
  for (const entry of all)
    counts[entry.nextHopProtocol] = (counts[entry.nextHopProtocol] || 0) + 1;
  const styled = [...document.querySelectorAll(".style")].filter(
    e => getComputedStyle(e).outlineStyle == "solid").length;
  const drawn = [...document.images].filter(i => i.complete && i.naturalWidth > 0).length;
  const run = document.querySelectorAll(".script.run").length;
  const facts = {page_protocol: page.nextHopProtocol, resources: all.length,
                 protocols: counts, drawn, styled, run};
  document.getElementById("verdict").textContent =
    `page over ${page.nextHopProtocol}; ${all.length} resources: ` +
    Object.entries(counts).map(([name, n]) => `${n} over ${name}`).join(", ");
  document.getElementById("facts").textContent = JSON.stringify(facts);
}, 50));
</script>
"""


def write_page(root: Path) -> None:
    """``page.html`` and its resources under ``page/``."""
    folder = root / "page"
    folder.mkdir(parents=True, exist_ok=True)
    tiles: list[str] = []
    links: list[str] = []
    for number in range(IMAGES):
        hue = number * 360 // IMAGES
        (folder / f"{number}.svg").write_text(
            '<svg xmlns="http://www.w3.org/2000/svg" width="40" height="40">'
            f'<rect width="40" height="40" fill="hsl({hue},60%,60%)"/>'
            f'<text x="20" y="25" font-size="14" text-anchor="middle">{number}</text></svg>\n'
        )
        tiles.append(f'<img alt="" src="page/{number}.svg">')
    for number in range(STYLES):
        (folder / f"{number}.css").write_text(
            f"#style{number} {{ background: #cfe; outline: 1px solid #9b8; }}\n"
        )
        links.append(f'<link rel="stylesheet" href="page/{number}.css">')
        tiles.append(f'<span class="style" id="style{number}"></span>')
    scripts: list[str] = []
    for number in range(SCRIPTS):
        (folder / f"{number}.js").write_text(
            f'{{ const tile = document.getElementById("script{number}");\n'
            '  tile.classList.add("run"); tile.style.background = "#fdc"; }\n'
        )
        tiles.append(f'<span class="script" id="script{number}">js {number}</span>')
        scripts.append(f'<script src="page/{number}.js"></script>')
    parts = [
        _HEAD,
        *links,
        "</head><body>\n<h1>One hundred resources</h1>\n",
        '<div id="verdict">loading</div>\n<div class="tiles">',
        *tiles,
        "</div>\n",
        *scripts,
        '\n<script type="application/json" id="facts"></script>\n',
        _TELL,
        "</body></html>\n",
    ]
    (root / "page.html").write_text("".join(parts))
