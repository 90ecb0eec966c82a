"""Writes assets/icons.css from the npm package lucide-static: icons as CSS masks, so that they take the text's colour.

Usage: npm install lucide-static; python dashboards/icons.py node_modules/lucide-static
"""

import re
import shutil
import sys
from pathlib import Path
from urllib.parse import quote

HERE = Path(__file__).parent
ASSETS = HERE / "faasight_dashboards" / "assets"
BASE = (
    "/* Lucide icons (ISC licence, icons.LICENSE). Made by dashboards/icons.py: do not edit. */\n"
    ".i{display:inline-block;width:1em;height:1em;flex:none;background:currentColor;vertical-align:-.125em;"
    "-webkit-mask:var(--icon) center/contain no-repeat;mask:var(--icon) center/contain no-repeat}\n"
)


def rule(name: str, svg: str) -> str:
    """Return the CSS rule of one icon."""
    drawing = re.sub(r"<!--.*?-->", "", svg, flags=re.DOTALL)
    drawing = re.sub(r'\s+class="[^"]*"', "", re.sub(r"\s+", " ", drawing)).strip().replace("currentColor", "black")
    address = quote(drawing.replace('"', "'"), safe=" =:/'")
    return f'.i-{name}{{--icon:url("data:image/svg+xml,{address}")}}\n'


def main(package: Path) -> None:
    """Write icons.css and its licence."""
    names = sorted(set((HERE / "icons.txt").read_text().split()))
    rules = [rule(name, (package / "icons" / f"{name}.svg").read_text()) for name in names]
    (ASSETS / "icons.css").write_text(BASE + "".join(rules))
    shutil.copyfile(package / "LICENSE", ASSETS / "icons.LICENSE")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
