"""Finds what is broken in built pages, without opening a browser or a connection.

    python -m docs.check build/site build/slides

reports links to pages and anchors that do not exist, links that hold only where the pages lie at
the root of a host, pictures without alt text, and resources that would be loaded from elsewhere.
"""

from __future__ import annotations

import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

# Attributes whose address the browser loads by itself; `link` only with these relations.
LOADING = {"src", "srcset", "poster", "data"}
LOADED_LINKS = {"stylesheet", "icon", "preload", "modulepreload", "manifest", "prefetch"}
CSS_ADDRESS = re.compile(r"""(?:url\(\s*|@import\s+)["']?([^"')\s;]+)""")
OUTSIDE = re.compile(r"(?:[a-z][a-z0-9+.-]*:)?//", re.IGNORECASE)


class Page(HTMLParser):
    """The anchors, links, resources and pictures of a page.

    Attributes:
        anchors: The values of `id`, and of `name` of links.
        links: The addresses that a reader may follow.
        resources: The addresses that a browser loads by itself.
        silent: The sources of the pictures without alt text.
    """

    def __init__(self, html: str) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.resources: list[str] = []
        self.silent: list[str] = []
        self._in_style = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Notes what a tag links to, loads or shows."""
        values = {name: value or "" for name, value in attrs}
        self._in_style = tag == "style"
        self.anchors |= {values.get("id", ""), values.get("name", "") if tag == "a" else ""}
        if "href" in values:
            loaded = tag == "link" and LOADED_LINKS & set(values.get("rel", "").split())
            (self.resources if loaded else self.links).append(values["href"])
        self.resources += [values[name] for name in LOADING & set(values)]
        self.resources += CSS_ADDRESS.findall(values.get("style", ""))
        if tag == "img" and not values.get("alt", "").strip():
            self.silent.append(values.get("src", "")[:60])

    handle_startendtag = handle_starttag

    def handle_data(self, data: str) -> None:
        """Notes what a style sheet within the page loads."""
        if self._in_style:
            self.resources += CSS_ADDRESS.findall(data)


def problems(folder: Path) -> list[str]:
    """Returns one sentence for each thing that is broken in the pages and style sheets of a folder.

    Args:
        folder: The top of the pages, which may lie anywhere: no link may leave it.

    Raises:
        FileNotFoundError: If the folder holds no page.
    """
    folder = folder.resolve()
    pages = {path: Page(path.read_text("utf-8")) for path in sorted(folder.rglob("*.html"))}
    if not pages:
        raise FileNotFoundError(f"There is no page in {folder}: build it first.")
    found = []
    for path, page in pages.items():
        where = path.relative_to(folder)
        found += [f"{where}: a picture has no alt text: {src}" for src in page.silent]
        found += [f"{where}: {text}" for text in _outside(page.resources)]
        for address in dict.fromkeys(page.links + page.resources):
            found += [f"{where}: {text}" for text in _broken(address, path, folder, pages)]
    for path in sorted(folder.rglob("*.css")):
        addresses = CSS_ADDRESS.findall(path.read_text("utf-8"))
        found += [f"{path.relative_to(folder)}: {text}" for text in _outside(addresses)]
    return found


def _outside(addresses: list[str]) -> list[str]:
    return [f"loads {address} from elsewhere" for address in addresses if OUTSIDE.match(address)]


def _broken(address: str, path: Path, folder: Path, pages: dict[Path, Page]) -> list[str]:
    parts = urlsplit(address)
    if parts.scheme or parts.netloc:
        return []
    if parts.path.startswith("/"):
        return [f"{address} holds only at the root of a host"]
    target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
    target = target / "index.html" if target.is_dir() else target
    if not target.is_relative_to(folder) or not target.is_file():
        return [f"{address} does not exist"]
    anchor = unquote(parts.fragment)
    if anchor and target in pages and anchor not in pages[target].anchors:
        return [f"{address} has no such anchor"]
    return []


def main(folders: list[str]) -> int:
    """Prints the problems of some folders; returns 1 if there are any, else 0."""
    found = [f"{folder}/{text}" for folder in folders for text in problems(Path(folder))]
    print(*found, f"{len(found)} problems in {', '.join(folders)}", sep="\n")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
