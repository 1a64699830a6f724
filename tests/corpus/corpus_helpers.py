"""Small dumps, written as Wikimedia writes them, and a digest of what a build made of them."""

import bz2
import gzip
import hashlib
import json
import lzma
import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path

import pyarrow.parquet as pq

from lingraft.corpus import BuildConfig, build

NOT_COMPARED = {"manifest.json", "request.json", "log.jsonl", "lock"}


def header(lang: str = "en", case: str = "first-letter", dbname: str | None = None) -> str:
    """The head of an export, with the namespaces that the tests use."""
    return (
        f'<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.11/" version="0.11" xml:lang="{lang}">\n<siteinfo>\n'
        f"<sitename>Wikipedia</sitename>\n<dbname>{dbname or lang.replace('-', '_') + 'wiki'}</dbname>\n"
        f"<base>https://{lang}.wikipedia.org/wiki/Main_Page</base>\n<case>{case}</case>\n<namespaces>\n"
        '<namespace key="0" case="first-letter" />\n<namespace key="4">Wikipedia</namespace>\n'
        '<namespace key="14">Category</namespace>\n</namespaces>\n</siteinfo>\n'
    )


def page_xml(number: int, title: str, wikitext: str, namespace: int = 0) -> str:
    """One page; wikitext that begins with #REDIRECT makes it a redirect, as MediaWiki exports it."""
    found = re.match(r"#REDIRECT\s*\[\[([^\]|]*)", wikitext)
    target = found[1].partition("#")[0] if found else ""
    redirect = f'<redirect title="{escape(target)}" />' if found else ""
    return (
        f"<page>\n<title>{escape(title)}</title>\n<ns>{namespace}</ns>\n<id>{number}</id>\n{redirect}<revision>\n"
        f"<id>{number + 1000}</id>\n<text>{escape(wikitext, quote=False)}</text>\n</revision>\n</page>\n"
    )


def write_dump(
    path: Path,
    pages: Iterable[tuple],
    *,
    lang: str = "en",
    case: str = "first-letter",
    dbname: str | None = None,
    a_stream: int | None = None,
) -> Path:
    """Write an export of pages (title, wikitext[, namespace]), packed as the suffix says.

    `a_stream` pages go into each stream of a multistream .bz2; without it there is one stream.
    """
    head = header(lang, case, dbname)
    written = [page_xml(number, *page) for number, page in enumerate(pages, start=1)]
    if a_stream:
        groups = ["".join(written[start : start + a_stream]) for start in range(0, len(written), a_stream)]
        path.write_bytes(b"".join(bz2.compress(part.encode()) for part in (head, *groups, "</mediawiki>\n")))
        return path
    data = (head + "".join(written) + "</mediawiki>\n").encode()
    pack = {".bz2": bz2.compress, ".gz": lambda raw: gzip.compress(raw, mtime=0), ".xz": lzma.compress}
    path.write_bytes(pack[path.suffix](data) if path.suffix in pack else data)
    return path


def write_wikidata(path: Path, items: Mapping[int, Mapping[str, str]]) -> Path:
    """Write a Wikidata dump of items: number -> {wiki: title}."""
    entities = [
        {
            "type": "item",
            "id": f"Q{number}",
            "sitelinks": {wiki: {"site": wiki, "title": title} for wiki, title in links.items()},
        }
        for number, links in items.items()
    ]
    path.write_text("[\n" + ",\n".join(json.dumps(entity, ensure_ascii=False) for entity in entities) + "\n]\n")
    return path


def write_pairs(path: Path, pairs: Iterable[Sequence[str]]) -> Path:
    """Write title pairs, one a line."""
    path.write_text("".join("\t".join(pair) + "\n" for pair in pairs))
    return path


def build_quietly(out: Path, dump: Path | Sequence[Path], *, workers: int = 1, **config) -> dict:
    """Build a corpus (English, unless said otherwise) and return its manifest."""
    config = {"lang": "en", "names": ["fr"]} | config
    return build(BuildConfig(dump=dump, **config), out, workers=workers, quiet=True)


def articles(corpus: Path) -> list[dict]:
    """All rows of a corpus, in order."""
    return [row for part in sorted((corpus / "articles").glob("*.parquet")) for row in pq.read_table(part).to_pylist()]


def links_of(corpus: Path) -> dict[str, tuple[str, int | None]]:
    """Anchor -> (target, entity), over the whole corpus."""
    return {
        row["text"][link["start"] : link["end"]]: (link["target"], link["entity"])
        for row in articles(corpus)
        for link in row["links"]
    }


def names_of(corpus: Path) -> dict[tuple[int, str], tuple[str, str]]:
    """(entity, language) -> (name, source)."""
    rows = pq.read_table(corpus / "names.parquet").to_pylist()
    return {(row["entity"], row["lang"]): (row["name"], row["source"]) for row in rows}


def digest(folder: Path) -> dict[str, str]:
    """File -> hash for everything that must be the same in two builds: timings, logs and paths are left out."""
    files = (entry for entry in sorted(folder.rglob("*")) if entry.is_file() and entry.name not in NOT_COMPARED)
    found = {str(entry.relative_to(folder)): hashlib.sha256(entry.read_bytes()).hexdigest() for entry in files}
    manifest = json.loads((folder / "manifest.json").read_text())
    kept = {
        name: manifest[name] for name in ("config_hash", "identity", "inputs", "counters", "problems", "statistics")
    }
    return found | {"manifest.json": hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()}
