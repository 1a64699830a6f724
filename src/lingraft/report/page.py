"""The page: results first, then each run on the way to them, then what it takes to repeat them.

One file that loads nothing: style and script are written into it, and its content security policy lets nothing else
run or load, so a script smuggled into an article's title is text, and would be refused even if it were not.
"""

import base64
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from pathlib import PurePosixPath
from typing import Any

from lingraft import __version__
from lingraft.report import charts, headline, shades, tables, words
from lingraft.report.charts import Palette
from lingraft.report.figures import details, figure, named, score_table, spoken
from lingraft.report.folders import Folder
from lingraft.report.headline import Told
from lingraft.report.markup import Child, Html, join, tag

_STAGES = {
    "corpus build": "Articles were read from a wiki’s dump, and their links resolved to Wikidata entities.",
    "corpus link": "Mentions of entities were found in plain text, by the anchor texts of a wiki.",
    "corpus anchors": "The anchor texts of a wiki were counted: how often each is a link, and to what.",
    "corpus quality": "The links of a corpus were sorted by what became of them, and some drawn to be read.",
    "augment": "A corpus was encoded for one tokenizer, with names of entities kept beside their mentions.",
    "train": "The training of a language model was continued on encoded text.",
    "evaluate": "A language model answered questions, and its answers were scored.",
    "transfer corpora": "Text of many languages was split by verse: what one may learn from, none is asked.",
    "transfer base": "The model was trained from which every donor starts.",
    "transfer matrix": "A model was trained on each donor language, and scored on each recipient before and after.",
    "transfer analyse": "Which donor helps which recipient, and what goes with it.",
    "transfer rank": "Donors were chosen for recipients never seen, and the choices compared with what was measured.",
    "transfer translate": "Each donor’s model was trained to translate, and its translations were scored.",
    "transfer tag": "Each donor’s model was trained to tag parts of speech, and scored on other languages.",
    "demo": "The whole story on a small invented world: its dumps were read, a model was trained on the text with and "
    "without grafted names, and asked what it had learnt.",
    "run": "All stages of a recipe, from the dump to the scores.",
}
_KNOWN = {"schema", "stage", "config_hash", "config", "identity", "inputs", "versions", "counters", "timings"}


def page(outer: Folder) -> str:
    """Return the whole document for `outer` and the runs inside it."""
    palette = Palette()
    shown = headline.shown(outer)
    told = {source for one in shown for source in one.sources}
    title = f"{named(outer.stage)} · {outer.name}"
    style, script = (
        (files("lingraft.report") / name).read_text(encoding="utf-8") for name in ("style.css", "script.js")
    )
    allowed = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{allowed}'; base-uri 'none'"
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="generator", content=f"lingraft {__version__}"),
        tag("title", title),
        tag("style", Html(style + shades.css())),
    )
    body = tag(
        "body",
        _header(outer),
        tag(
            "main",
            headline.section(shown, palette),
            _tables(outer, palette, told),
            _counters(outer, "h2"),
            _overview(outer),
            *(
                _inner(folder, folders, index, palette, told)
                for index, (folder, folders) in enumerate(_nested(outer.inner))
            ),
            tag("section", tag("h2", "To repeat it"), *_means(outer, opened=True), _versions(outer)),
        ),
        tag("footer", tag("p", f"Written by lingraft {__version__}. One file; it loads nothing.")),
        tag("script", Html(script)),
    )
    return f"<!doctype html>\n{tag('html', head, body, lang='en')}\n"


def _header(outer: Folder) -> Html:
    begun = sum(not folder.finished for folder in outer.inner)
    inside = f" It holds {words.several(len(outer.inner), 'run')}" if outer.inner else ""
    state = f", {begun} of them not finished." if begun else "."
    sentence = _STAGES.get(outer.stage, f"A run of the stage “{outer.stage}”.")
    return tag(
        "header",
        tag("p", tag("span", "lingraft report"), tag("button", "Dark", type="button", id="theme", hidden=True)),
        tag("h1", named(outer.stage), " ", tag("span", outer.name, dir="auto")),
        tag("p", sentence, f"{inside}{state}" if inside else None, class_="lede"),
        tag("p", join(_facts(outer), " · "), class_="facts"),
        _unfinished(outer),
    )


def _facts(folder: Folder) -> list[Child]:
    seconds = words.finite(_part(folder, "timings").get("total_seconds"))
    resumed = " after a resume" if _part(folder, "timings").get("resumed") else ""
    facts = [
        f"finished {words.moment(folder.when)}" if folder.finished else f"begun {words.moment(folder.when)}",
        f"{words.duration(seconds)}{resumed}" if seconds is not None else None,
        f"lingraft {_part(folder, 'versions').get('lingraft', 'unknown')}",
        join(["config ", tag("code", folder.record.get("config_hash"))]) if folder.record.get("config_hash") else None,
    ]
    return [fact for fact in facts if fact]


def _unfinished(folder: Folder) -> Html | None:
    if folder.finished:
        return None
    event = folder.last_event or {}
    last = f" The last entry of its log is “{event.get('event')}”" if event else " Its log is empty"
    at = words.finite(event.get("time"))
    return tag(
        "p",
        tag("b", "Not finished."),
        f" There is no manifest yet; shown is what has been written so far.{last}",
        f", {words.moment(at)}." if at is not None else ".",
        class_="unfinished",
    )


def _overview(outer: Folder) -> Html | None:
    if not outer.inner:
        return None
    rows = [
        tag(
            "tr",
            tag("td", tag("a", folder.name, href=f"#run-{index}")),
            tag("td", folder.stage),
            tag("td", "finished" if folder.finished else tag("b", "not finished"), _inside(folders)),
            tag("td", _took(folder), class_="number", data_value=_part(folder, "timings").get("total_seconds", -1)),
        )
        for index, (folder, folders) in enumerate(_nested(outer.inner))
    ]
    head = [tag("th", name, scope="col") for name in ("run", "stage", "state")]
    table = tag(
        "table",
        tag("thead", tag("tr", *head, tag("th", "time", scope="col", class_="number"))),
        tag("tbody", *rows),
        class_="sortable",
    )
    return tag("section", tag("h2", "The runs"), tables.scrolling(table, "The runs inside this one"))


def _nested(inner: Sequence[Folder]) -> list[tuple[Folder, list[Folder]]]:
    """Return each run that lies in no other of these, with the runs inside it; both keep their order."""
    names = {folder.name for folder in inner}
    found: dict[str, tuple[Folder, list[Folder]]] = {}
    for folder in inner:
        if not _holders(folder) & names:
            found[folder.name] = folder, []
    for folder in inner:
        if over := _holders(folder) & names:
            found[min(over, key=len)][1].append(folder)
    return list(found.values())


def _holders(folder: Folder) -> set[str]:
    """Return the names of the folders around this one: of "corpora/languages/quc", corpora and corpora/languages."""
    return {str(path) for path in PurePosixPath(folder.name).parents} - {"."}


def _inside(folders: Sequence[Folder]) -> str | None:
    if not folders:
        return None
    begun = sum(not folder.finished for folder in folders)
    return f", {words.several(len(folders), 'run')} inside" + (f", {begun} of them not finished" if begun else "")


def _took(folder: Folder) -> str:
    seconds = words.finite(_part(folder, "timings").get("total_seconds"))
    return words.MISSING if seconds is None else words.duration(seconds)


def _inner(folder: Folder, folders: Sequence[Folder], index: int, palette: Palette, told: Told) -> Html:
    """Draw an inner run; those inside it are folded, and shorter: their settings follow from its own."""
    inside = [tag("section", *_parts(one, palette, told, "h3")) for one in folders]
    return tag(
        "section",
        *_parts(folder, palette, told),
        details(f"{words.several(len(folders), 'run')} inside", join(inside)) if inside else None,
        *_means(folder, opened=False),
        id=f"run-{index}",
    )


def _parts(folder: Folder, palette: Palette, told: Told, heading: str = "h2") -> Iterable[Child]:
    scores = [table for table in folder.tables if table.kind == "scores" and (folder.name, table.name) not in told]
    rest = told | {(folder.name, table.name) for table in scores}
    drawn = [named(table.title) for table in folder.tables if (folder.name, table.name) in told]
    yield tag(heading, folder.name, " ", tag("span", folder.stage))
    yield tag("p", join(_facts(folder), " · "), class_="facts")
    yield _unfinished(folder)
    if drawn:
        yield tag("p", "Under ", tag("a", "Results", href="#results"), f": {'; '.join(drawn)}.", class_="aside")
    yield from (score_table(table) for table in scores)
    yield _tables(folder, palette, rest)
    yield _counters(folder, "h3" if heading == "h2" else "h4")


def _tables(folder: Folder, palette: Palette, told: Told) -> Html:
    """Draw the tables that the headline has not drawn."""
    return join(figure(table, palette) for table in folder.tables if (folder.name, table.name) not in told)


def _counters(folder: Folder, heading: str) -> Html | None:
    """Single counters as a table; each group of counters, such as drops by reason, as bars.

    What a table of counts has told already is not told again.
    """
    told = {row.get("name") for table in folder.tables if table.kind == "counts" for row in table.rows}
    single: dict[str, Any] = {}
    groups: dict[str, dict[str, Any]] = {}
    for name, value in tables.flat(_part(folder, "counters")).items():
        group, dot, last = name.rpartition(".")
        if dot and words.finite(value) is not None:
            groups.setdefault(group, {})[last] = value
        elif name not in told:
            single[name.replace("_", " ")] = value
    if not single and not groups:
        return None
    drawn = [
        tag("figure", tag("figcaption", tag("h4", named(name).replace("_", " "))), charts.bars(spoken(values.items())))
        for name, values in groups.items()
    ]
    return tag(
        "section",
        tag(heading, "Counters"),
        tables.pairs(single, "Counters") if single else None,
        tag("div", *drawn, class_="panels many" if len(drawn) > 1 else "panels") if drawn else None,
    )


def _means(folder: Folder, *, opened: bool) -> Iterable[Html]:
    """Settings, inputs, timings and whatever else the manifest holds, folded where the run is not the outer one."""
    if config := folder.record.get("config"):
        settings = tables.flat(config)
        yield details(f"Settings ({len(settings)})", tables.pairs(settings, "Settings"), opened=opened)
    if inputs := folder.record.get("inputs"):
        rows = [_input(item) for item in inputs]
        yield details(f"Inputs ({len(rows)})", tables.table(rows, "Inputs"), opened=opened)
    if parts := _part(folder, "timings").get("parts"):
        bars = charts.bars(spoken(parts.items()), words.duration)
        yield details("Where the time went", bars, opened=opened)
    told = {table.name for table in folder.tables}
    if more := {key: value for key, value in folder.record.items() if key not in _KNOWN | told}:
        yield details("More from the manifest", tables.pairs(more, "More from the manifest"), opened=opened)


def _input(item: Mapping[str, Any]) -> dict[str, Any]:
    if "run" in item:
        what, amount, mark = f"run of {item.get('stage')}", None, item["run"]
    elif "files" in item:
        what, amount, mark = "folder", words.several(item["files"], "file"), item.get("sha256")
    else:
        what, mark = "file", item.get("sha256")
        amount = words.size(item["size"]) if isinstance(item.get("size"), int) else None
    return {"name": item.get("name"), "what": what, "size": amount, "hash": mark}


def _versions(outer: Folder) -> Html | None:
    """List each package once; where runs differ, each version with the runs that used it."""
    used: dict[str, dict[str, list[str]]] = {}
    for folder in (outer, *outer.inner):
        for package, version in _part(folder, "versions").items():
            used.setdefault(package, {}).setdefault(str(version), []).append(folder.name)
    shown = {
        package: next(iter(found))
        if len(found) == 1
        else "; ".join(f"{v} ({words.listing(n)})" for v, n in found.items())
        for package, found in used.items()
    }
    return details("Versions", tables.pairs(shown, "Versions"), opened=True) if shown else None


def _part(folder: Folder, name: str) -> dict[str, Any]:
    """A mapping inside the record; an unfinished run has no counters and no timings."""
    value = folder.record.get(name)
    return value if isinstance(value, dict) else {}
