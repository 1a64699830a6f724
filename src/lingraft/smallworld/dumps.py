"""The world as the files that Wikimedia publishes, byte for byte in their formats, so that users' code reads them.

    {wiki}-pages-articles-multistream.xml.bz2   export 0.11: header, streams of `PAGES_A_STREAM` pages, footer
    {wiki}-pages-articles-multistream-index.txt.bz2
    {wiki}-page, -redirect, -page_props, -langlinks .sql.gz   as MariaDB's mysqldump writes them
    wikidatawiki-wb_items_per_site.sql.gz, wikidata.json.gz

`early/` holds the target wiki's pages of an earlier day, when it knew bridge entities alone. The same config gives
the same bytes everywhere: no clock, no compressor that stamps its output.

    write_dumps(Path("out/dumps"), WorldConfig(seed=1))["el"]
"""

import base64
import bz2
import gzip
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

from lingraft.runs import atomic
from lingraft.smallworld.articles import Page, has_alias, pages, title_of, title_of_value, year_item
from lingraft.smallworld.languages import PIVOT, TARGET
from lingraft.smallworld.vocabulary import KINDS, VALUES
from lingraft.smallworld.world import FIRST_ITEM, World, WorldConfig

PAGES_A_STREAM = 50
ROWS_AN_INSERT = 200
STAMP = "2024-01-01T00:00:00Z"

_SITENAME = {"en": "Wikipedia", "el": "Βικιπαίδεια"}
_NAMESPACES = {
    "en": ["Talk", "User", "User talk", "Wikipedia", "Wikipedia talk", "File", "File talk", "MediaWiki",
           "MediaWiki talk", "Template", "Template talk", "Help", "Help talk", "Category", "Category talk"],
    "el": ["Συζήτηση", "Χρήστης", "Συζήτηση χρήστη", "Βικιπαίδεια", "Συζήτηση Βικιπαίδεια", "Αρχείο",
           "Συζήτηση αρχείου", "MediaWiki", "Συζήτηση MediaWiki", "Πρότυπο", "Συζήτηση προτύπου", "Βοήθεια",
           "Συζήτηση βοήθειας", "Κατηγορία", "Συζήτηση κατηγορίας"],
}  # fmt: skip
_SPECIAL = {"en": ("Media", "Special"), "el": ("Μέσο", "Ειδικό")}


def write_dumps(directory: str | Path, config: WorldConfig) -> dict[str, Path]:
    """Write all dump files of the world that `config` describes into `directory`; return their paths by name.

    Keys: `en`, `el`, `el-early` (articles), `wikidata`, `items` (wb_items_per_site) and, for each wiki,
    `{lang}-page`, `{lang}-redirect`, `{lang}-page_props`, `{lang}-langlinks`.
    Raises LingraftError when the disk refuses.
    """
    world, directory = World(config), Path(directory)
    written = {name: pages(world, edition) for name, edition in world.editions().items()}
    paths = {}
    for name, held in written.items():
        lang = name.partition("-")[0]
        folder = directory / "early" if name.endswith("-early") else directory
        paths[name] = folder / f"{lang}wiki-pages-articles-multistream.xml.bz2"
        _write_articles(paths[name], lang, held)
    for lang in (PIVOT, TARGET):
        for table, rows in _wiki_tables(lang, written).items():
            paths[f"{lang}-{table}"] = directory / f"{lang}wiki-{table}.sql.gz"
            _write_sql(paths[f"{lang}-{table}"], f"{lang}wiki", table, rows)
    items = list(_items(world, written))
    paths["items"] = directory / "wikidatawiki-wb_items_per_site.sql.gz"
    _write_sql(paths["items"], "wikidatawiki", "wb_items_per_site", list(_items_per_site(items)))
    paths["wikidata"] = directory / "wikidata.json.gz"
    _write_gzip(paths["wikidata"], _entity_lines(items))
    return paths


def _write_articles(path: Path, lang: str, held: Sequence[Page]) -> None:
    """Write the multistream dump and its index (`offset:page id:title` lines, as MediaWiki's own)."""
    index = []
    with atomic(path) as temporary, temporary.open("wb") as file:
        file.write(bz2.compress(_header(lang).encode()))
        for start in range(0, len(held), PAGES_A_STREAM):
            group = held[start : start + PAGES_A_STREAM]
            index += [f"{file.tell()}:{page.id}:{page.title}\n" for page in group]
            file.write(bz2.compress("".join(map(_page_xml, group)).encode()))
        file.write(bz2.compress(b"</mediawiki>\n"))
    with atomic(path.with_name(path.name.replace(".xml.bz2", "-index.txt.bz2"))) as temporary:
        temporary.write_bytes(bz2.compress("".join(index).encode()))


def _header(lang: str) -> str:
    spaces = {-2: _SPECIAL[lang][0], -1: _SPECIAL[lang][1], 0: ""} | dict(enumerate(_NAMESPACES[lang], start=1))
    lines = [
        f'      <namespace key="{key}" case="first-letter"' + (f">{name}</namespace>" if name else " />")
        for key, name in spaces.items()
    ]
    schema = "http://www.mediawiki.org/xml/export-0.11"
    return (
        f'<mediawiki xmlns="{schema}/" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
        f'xsi:schemaLocation="{schema}/ {schema}.xsd" version="0.11" xml:lang="{lang}">\n'
        f"  <siteinfo>\n    <sitename>{_SITENAME[lang]}</sitename>\n    <dbname>{lang}wiki</dbname>\n"
        f"    <base>https://{lang}.wikipedia.org/wiki/Main_Page</base>\n"
        "    <generator>lingraft smallworld</generator>\n"
        "    <case>first-letter</case>\n    <namespaces>\n" + "\n".join(lines) + "\n    </namespaces>\n  </siteinfo>\n"
    )


def _page_xml(page: Page) -> str:
    text = page.text.encode()
    sha1 = _base36(hashlib.sha1(text).digest())
    redirect = f"    <redirect title={quoteattr(page.redirect)} />\n" if page.redirect else ""
    return (
        f"  <page>\n    <title>{escape(page.title)}</title>\n    <ns>{page.namespace}</ns>\n"
        f"    <id>{page.id}</id>\n{redirect}"
        f"    <revision>\n      <id>{page.revision}</id>\n      <timestamp>{STAMP}</timestamp>\n"
        "      <contributor>\n        <username>Chronicler</username>\n        <id>1</id>\n      </contributor>\n"
        f"      <origin>{page.revision}</origin>\n      <model>wikitext</model>\n      <format>text/x-wiki</format>\n"
        f'      <text bytes="{len(text)}" sha1="{sha1}" xml:space="preserve">{escape(page.text)}</text>\n'
        f"      <sha1>{sha1}</sha1>\n    </revision>\n  </page>\n"
    )


def _base36(digest: bytes) -> str:
    number, text = int.from_bytes(digest, "big"), ""
    while number:
        number, digit = divmod(number, 36)
        text = "0123456789abcdefghijklmnopqrstuvwxyz"[digit] + text
    return text.rjust(31, "0")


Row = tuple[int | float | str | None, ...]

_TABLES = {
    "page": """  `page_id` int(8) unsigned NOT NULL AUTO_INCREMENT,
  `page_namespace` int(11) NOT NULL DEFAULT 0,
  `page_title` varbinary(255) NOT NULL DEFAULT '',
  `page_is_redirect` tinyint(1) unsigned NOT NULL DEFAULT 0,
  `page_is_new` tinyint(1) unsigned NOT NULL DEFAULT 0,
  `page_random` double unsigned NOT NULL DEFAULT 0,
  `page_touched` binary(14) NOT NULL,
  `page_links_updated` varbinary(14) DEFAULT NULL,
  `page_latest` int(8) unsigned NOT NULL DEFAULT 0,
  `page_len` int(8) unsigned NOT NULL DEFAULT 0,
  `page_content_model` varbinary(32) DEFAULT NULL,
  `page_lang` varbinary(35) DEFAULT NULL,
  PRIMARY KEY (`page_id`),
  UNIQUE KEY `page_name_title` (`page_namespace`,`page_title`)""",
    "redirect": """  `rd_from` int(8) unsigned NOT NULL DEFAULT 0,
  `rd_namespace` int(11) NOT NULL DEFAULT 0,
  `rd_title` varbinary(255) NOT NULL DEFAULT '',
  `rd_interwiki` varbinary(32) DEFAULT NULL,
  `rd_fragment` varbinary(255) DEFAULT NULL,
  PRIMARY KEY (`rd_from`),
  KEY `rd_ns_title` (`rd_namespace`,`rd_title`,`rd_from`)""",
    "page_props": """  `pp_page` int(10) unsigned NOT NULL,
  `pp_propname` varbinary(60) NOT NULL DEFAULT '',
  `pp_value` blob NOT NULL,
  `pp_sortkey` float DEFAULT NULL,
  PRIMARY KEY (`pp_page`,`pp_propname`),
  UNIQUE KEY `pp_propname_page` (`pp_propname`,`pp_page`)""",
    "langlinks": """  `ll_from` int(8) unsigned NOT NULL DEFAULT 0,
  `ll_lang` varbinary(35) NOT NULL DEFAULT '',
  `ll_title` varbinary(255) NOT NULL DEFAULT '',
  PRIMARY KEY (`ll_from`,`ll_lang`),
  KEY `ll_lang` (`ll_lang`,`ll_title`)""",
    "wb_items_per_site": """  `ips_row_id` bigint(20) unsigned NOT NULL AUTO_INCREMENT,
  `ips_item_id` int(10) unsigned NOT NULL,
  `ips_site_id` varbinary(32) NOT NULL,
  `ips_site_page` varbinary(310) NOT NULL,
  PRIMARY KEY (`ips_row_id`),
  UNIQUE KEY `wb_ips_item_site_page` (`ips_site_id`,`ips_site_page`)""",
}


def _wiki_tables(lang: str, written: Mapping[str, Sequence[Page]]) -> dict[str, list[Row]]:
    held, other = written[lang], TARGET if lang == PIVOT else PIVOT
    titles = {page.qid: page.title for page in written[other] if page.qid is not None}
    return {
        "page": [_page_row(page) for page in held],
        "redirect": [(page.id, 0, _key(page.redirect), "", "") for page in held if page.redirect],
        "page_props": sorted(
            [(page.id, "wikibase_item", f"Q{page.qid}", None) for page in held if page.qid is not None]
            + [(page.id, "disambiguation", "", None) for page in held if page.disambiguation]
        ),
        # langlinks keeps titles with spaces, unlike every other table of MediaWiki
        "langlinks": [(page.id, other, titles[page.qid]) for page in held if page.qid in titles],
    }


def _page_row(page: Page) -> Row:
    title = page.title.partition(":")[2] if page.namespace else page.title
    chance = int(hashlib.sha1(page.title.encode()).hexdigest()[:8], 16) / 2**32
    moment = "20240101000000"
    return (
        page.id, page.namespace, _key(title), int(page.redirect is not None), 1, round(chance, 12), moment, moment,
        page.revision, len(page.text.encode()), "wikitext", None,
    )  # fmt: skip


def _key(title: str) -> str:
    return title.replace(" ", "_")


def _write_sql(path: Path, database: str, table: str, rows: Sequence[Row]) -> None:
    def lines() -> Iterator[str]:
        yield (
            f"-- MariaDB dump 10.19  Distrib 10.5.23-MariaDB, for debian-linux-gnu (x86_64)\n--\n"
            f"-- Host: localhost    Database: {database}\n-- ------------------------------------------------------\n"
            "-- Server version\t10.6.16-MariaDB-log\n\n"
            "/*!40101 SET @OLD_CHARACTER_SET_CLIENT=@@CHARACTER_SET_CLIENT */;\n/*!40101 SET NAMES utf8mb4 */;\n"
            "/*!40014 SET @OLD_UNIQUE_CHECKS=@@UNIQUE_CHECKS, UNIQUE_CHECKS=0 */;\n\n"
            f"--\n-- Table structure for table `{table}`\n--\n\nDROP TABLE IF EXISTS `{table}`;\n"
            "/*!40101 SET @saved_cs_client     = @@character_set_client */;\n"
            "/*!40101 SET character_set_client = utf8 */;\n"
            f"CREATE TABLE `{table}` (\n{_TABLES[table]}\n) ENGINE=InnoDB DEFAULT CHARSET=binary;\n"
            "/*!40101 SET character_set_client = @saved_cs_client */;\n\n"
            f"--\n-- Dumping data for table `{table}`\n--\n\n/*!40000 ALTER TABLE `{table}` DISABLE KEYS */;\n"
        )
        for start in range(0, len(rows), ROWS_AN_INSERT):
            group = ",".join(f"({','.join(map(_sql_value, row))})" for row in rows[start : start + ROWS_AN_INSERT])
            yield f"INSERT INTO `{table}` VALUES {group};\n"
        yield (
            f"/*!40000 ALTER TABLE `{table}` ENABLE KEYS */;\n/*!40014 SET UNIQUE_CHECKS=@OLD_UNIQUE_CHECKS */;\n"
            "/*!40101 SET CHARACTER_SET_CLIENT=@OLD_CHARACTER_SET_CLIENT */;\n\n"
            "-- Dump completed on 2024-01-01  0:00:00\n"
        )

    _write_gzip(path, lines())


_ESCAPES = str.maketrans({"\\": "\\\\", "'": "\\'", '"': '\\"', "\n": "\\n", "\r": "\\r", "\0": "\\0", "\x1a": "\\Z"})


def _sql_value(value: int | float | str | None) -> str:
    if value is None:
        return "NULL"
    return f"'{value.translate(_ESCAPES)}'" if isinstance(value, str) else repr(value)


def _write_gzip(path: Path, chunks: Iterable[str]) -> None:
    with (
        atomic(path) as temporary,
        temporary.open("wb") as raw,
        gzip.GzipFile(fileobj=raw, mode="wb", mtime=0, filename="") as file,
    ):
        for chunk in chunks:
            file.write(chunk.encode())


def _items(world: World, written: Mapping[str, Sequence[Page]]) -> Iterator[dict]:
    """Yield Wikidata items in the order of their numbers: entities, values, years."""
    pivot, target = world.languages[PIVOT], world.languages[TARGET]
    kinds = {kind: FIRST_ITEM - 1 - number for number, kind in enumerate([*KINDS, *VALUES])}
    for entity in world.entities:
        aliases = {
            lang: [f"{language.notions['old']} {entity.names[lang]}"]
            for lang, language in world.languages.items()
            if has_alias(entity)
        }
        titles = {lang: title_of(entity, language) for lang, language in world.languages.items()}
        yield _item(entity.qid, dict(entity.names), aliases, titles, kinds[entity.kind])
    for kind, values in VALUES.items():
        for value in values:
            titles = {lang: title_of_value(value, language) for lang, language in world.languages.items()}
            labels = {PIVOT: pivot.words[value], TARGET: target.words[value]}
            yield _item(world.qid_of(value), labels, {}, titles, kinds[kind])
    years = [{page.title for page in written[lang] if page.title.isdigit()} for lang in (PIVOT, TARGET)]
    for number, year in enumerate(sorted(years[0] | years[1])):
        titles = {lang: year for lang, held in zip((PIVOT, TARGET), years, strict=True) if year in held}
        yield _item(year_item(world, number), {PIVOT: year, TARGET: year}, {}, titles, None)


def _item(
    number: int, labels: dict[str, str], aliases: dict[str, list[str]], titles: dict[str, str], kind: int | None
) -> dict:
    value = {"entity-type": "item", "numeric-id": kind, "id": f"Q{kind}"}
    claim = {
        "mainsnak": {
            "snaktype": "value",
            "property": "P31",
            "datavalue": {"value": value, "type": "wikibase-entityid"},
            "datatype": "wikibase-item",
        },
        "type": "statement",
        "id": f"Q{number}${base64.b16encode(hashlib.sha1(str(number).encode()).digest()[:16]).decode()}",
        "rank": "normal",
    }
    return {
        "type": "item",
        "id": f"Q{number}",
        "labels": {lang: {"language": lang, "value": text} for lang, text in labels.items()},
        "descriptions": {},
        "aliases": {lang: [{"language": lang, "value": text} for text in texts] for lang, texts in aliases.items()},
        "claims": {"P31": [claim]} if kind else {},
        "sitelinks": {
            f"{lang}wiki": {"site": f"{lang}wiki", "title": title, "badges": []} for lang, title in titles.items()
        },
        "lastrevid": number,
    }


def _entity_lines(items: Sequence[dict]) -> Iterator[str]:
    yield "[\n"
    for position, item in enumerate(items):
        text = json.dumps(item, separators=(",", ":"))  # as Wikidata: ASCII, other letters as \u escapes
        yield text + (",\n" if position + 1 < len(items) else "\n")
    yield "]\n"


def _items_per_site(items: Iterable[dict]) -> Iterator[Row]:
    rows = [(int(item["id"][1:]), site, link["title"]) for item in items for site, link in item["sitelinks"].items()]
    for number, row in enumerate(rows, start=1):
        yield (number, *row)
