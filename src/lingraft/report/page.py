"""The page: results first, then each run on the way to them, then what it takes to repeat them.

One file that loads nothing: style and script are written into it, and its content security policy lets nothing else
run or load, so a script smuggled into an article's title is text, and would be refused even if it were not.
"""

import base64
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from typing import Any

from lingraft import __version__
from lingraft.report import charts, curves, examples, tables, words
from lingraft.report.charts import Palette
from lingraft.report.folders import Folder, Table
from lingraft.report.markup import Child, Html, join, tag

_STAGES = {
    "corpus build": "Articles were read from a wiki’s dump, and their links resolved to Wikidata entities.",
    "corpus link": "Mentions of entities were found in plain text, by the anchor texts of a wiki.",
    "corpus anchors": "The anchor texts of a wiki were counted: how often each is a link, and to what.",
    "corpus quality": "The links of a corpus were sorted by what became of them, and some drawn to be read.",
    "augment": "A corpus was encoded for one tokenizer, with names of entities kept beside their mentions.",
    "train": "The training of a language model was continued on encoded text.",
    "evaluate": "A language model answered questions, and its answers were scored.",
    "demo": "The whole story on a small invented world: its dumps were read, a model was trained on the text with and "
    "without grafted names, and asked what it had learnt.",
    "run": "All stages of a recipe, from the dump to the scores.",
}
_KNOWN = {"schema", "stage", "config_hash", "config", "identity", "inputs", "versions", "counters", "timings"}
_SCORE_COLUMNS = ["group", "label", "value", "low", "high", "chance"]


def page(outer: Folder) -> str:
    """Return the whole document for `outer` and the runs inside it."""
    palette = Palette()
    title = f"{_named(outer.stage)} · {outer.name}"
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
        tag("style", Html(style)),
    )
    body = tag(
        "body",
        _header(outer),
        tag(
            "main",
            _headline(outer, palette),
            _tables(outer, palette),
            _counters(outer, "h2"),
            _overview(outer),
            *(_inner(folder, index, palette) for index, folder in enumerate(outer.inner)),
            tag("section", tag("h2", "To repeat it"), *_means(outer, opened=True), _versions(outer)),
        ),
        tag("footer", tag("p", f"Written by lingraft {__version__}. One file; it loads nothing.")),
        tag("script", Html(script)),
    )
    return f"<!doctype html>\n{tag('html', head, body, lang='en')}\n"


def _named(stage: str) -> str:
    return stage[:1].upper() + stage[1:]


def _header(outer: Folder) -> Html:
    begun = sum(not folder.finished for folder in outer.inner)
    inside = f" It holds {words.several(len(outer.inner), 'run')}" if outer.inner else ""
    state = f", {begun} of them not finished." if begun else "."
    sentence = _STAGES.get(outer.stage, f"A run of the stage “{outer.stage}”.")
    return tag(
        "header",
        tag("p", tag("span", "lingraft report"), tag("button", "Dark", type="button", id="theme", hidden=True)),
        tag("h1", _named(outer.stage), " ", tag("span", outer.name, dir="auto")),
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


def _headline(outer: Folder, palette: Palette) -> Html | None:
    """Scores and curves first: the outer run's own or, where it has none, those of the runs inside it together."""
    drawn: list[Child] = [_scores(table, palette, chart=True) for table in outer.tables if table.kind == "scores"]
    if not drawn and (rows := _together(outer.inner, "scores", ("group", "label"))):
        drawn.append(_scores(Table("scores", "scores", "Scores", "", rows), palette, chart=True))
    if not any(table.kind == "curve" for table in outer.tables):
        for name, title in _shared_curves(outer.inner).items():
            rows = _together(outer.inner, "curve", ("series",), name)
            drawn.append(_curve(Table(name, "curve", title, "", rows), palette))
    return tag("section", tag("h2", "Results"), *drawn) if drawn else None


def _shared_curves(inner: Sequence[Folder]) -> dict[str, str]:
    """Return name and title of the curves that more than one run has."""
    found = [(table.name, table.title) for folder in inner for table in folder.tables if table.kind == "curve"]
    return {name: title for name, title in found if sum(other == name for other, _ in found) > 1}


def _together(inner: Sequence[Folder], kind: str, key: Sequence[str], name: str | None = None) -> list[dict[str, Any]]:
    """Put the rows of the inner runs' tables together; where two runs use one key, the run's name is added to it."""
    rows = [
        (folder.name, row)
        for folder in inner
        for table in folder.tables
        if table.kind == kind and name in (None, table.name)
        for row in table.rows
    ]
    owners: dict[tuple[str, ...], set[str]] = {}
    for run, row in rows:
        owners.setdefault(tuple(str(row.get(part)) for part in key), set()).add(run)
    contested = {str(known[-1]) for known, runs in owners.items() if len(runs) > 1}
    last = key[-1]
    return [
        row | {last: f"{row.get(last)} ({run})" if str(row.get(last)) in contested else row.get(last)}
        for run, row in rows
    ]


def _overview(outer: Folder) -> Html | None:
    if not outer.inner:
        return None
    rows = [
        tag(
            "tr",
            tag("td", tag("a", folder.name, href=f"#run-{index}")),
            tag("td", folder.stage),
            tag("td", "finished" if folder.finished else tag("b", "not finished")),
            tag("td", _took(folder), class_="number", data_value=_part(folder, "timings").get("total_seconds", -1)),
        )
        for index, folder in enumerate(outer.inner)
    ]
    head = [tag("th", name, scope="col") for name in ("run", "stage", "state")]
    table = tag(
        "table",
        tag("thead", tag("tr", *head, tag("th", "time", scope="col", class_="number"))),
        tag("tbody", *rows),
        class_="sortable",
    )
    return tag("section", tag("h2", "The runs"), tables.scrolling(table, "The runs inside this one"))


def _took(folder: Folder) -> str:
    seconds = words.finite(_part(folder, "timings").get("total_seconds"))
    return words.MISSING if seconds is None else words.duration(seconds)


def _inner(folder: Folder, index: int, palette: Palette) -> Html:
    return tag(
        "section",
        tag("h2", folder.name, " ", tag("span", folder.stage)),
        tag("p", join(_facts(folder), " · "), class_="facts"),
        _unfinished(folder),
        *(_scores(table, palette, chart=False) for table in folder.tables if table.kind == "scores"),
        _tables(folder, palette),
        _counters(folder, "h3"),
        *_means(folder, opened=False),
        id=f"run-{index}",
    )


def _tables(folder: Folder, palette: Palette) -> Html:
    """Draw all tables but the scores, which stand first."""
    return join(_table(table, palette) for table in folder.tables if table.kind != "scores")


def _table(table: Table, palette: Palette) -> Html:
    if table.kind == "curve" and all("x" in row and "y" in row for row in table.rows):
        return _curve(table, palette)
    if table.kind == "examples":
        return _figure(table, examples.draw(table.rows))
    if table.kind == "counts" and all({"name", "value"} == row.keys() for row in table.rows):
        known = [(str(row["name"]), value) for row in table.rows if (value := words.finite(row["value"])) is not None]
        without = [str(row["name"]) for row in table.rows if words.finite(row["value"]) is None]
        drawing = charts.bars(known) if charts.tells(known) else tables.pairs(dict(_spoken(known)), table.title)
        return _figure(table, drawing, f"Without a value: {words.listing(without)}." if without else "")
    return _figure(table, tables.table(table.rows, table.title))


def _figure(table: Table, drawing: Html, *notes: str) -> Html:
    said = " ".join(part for part in (table.note, *notes) if part)
    return tag(
        "figure",
        tag("figcaption", tag("h3", _named(table.title), dir="auto"), tag("p", said, dir="auto") if said else None),
        drawing,
        class_=table.kind if table.kind in ("scores", "curve", "examples", "counts") else "table",
    )


def _scores(table: Table, palette: Palette, *, chart: bool) -> Html:
    columns = [*_SCORE_COLUMNS, *dict.fromkeys(key for row in table.rows for key in row if key not in _SCORE_COLUMNS)]
    columns = [name for name in columns if name != "signature" and any(name in row for row in table.rows)]
    values = tables.table(table.rows, table.title, columns=columns)
    signed = _signatures(table.rows)
    if not chart:
        return _figure(table, join([values, signed]))
    gone = sum(words.finite(row.get("value")) is None for row in table.rows)
    how = "Dots are the values, lines their intervals, the dashed line is chance."
    notes = [how, f"{words.several(gone, 'score')} without a value."] if gone else [how]
    drawing = charts.scores(table.rows, palette)
    return _figure(table, join([drawing, _details("The values as a table", values), signed]), *notes)


def _signatures(rows: Sequence[Mapping[str, Any]]) -> Html | None:
    """Say under which conditions each score was measured; scores of one signature stand together."""
    signed: dict[str, list[str]] = {}
    for row in rows:
        if row.get("signature"):
            name = " / ".join(str(row[key]) for key in ("group", "label") if row.get(key))
            signed.setdefault(_signature(row["signature"]), []).append(name)
    if not signed:
        return None
    terms = [join([tag("dt", ", ".join(names)), tag("dd", tag("code", text))]) for text, names in signed.items()]
    return _details(f"Signatures ({len(signed)})", tag("dl", *terms, class_="signatures"))


def _signature(value: Any) -> str:
    if not isinstance(value, Mapping):
        return str(value)
    return " | ".join(f"{name}:{part}" for name, part in tables.flat(value).items())


def _curve(table: Table, palette: Palette) -> Html:
    series, nowhere = curves.series_of(table.rows)
    drawing = curves.draw(series, table.title, palette)
    values = tables.table([_ends_of(one) for one in series], f"{table.title}, first and last values")
    notes = curves.notes(series, nowhere)
    return _figure(table, join([drawing, _details("First, lowest, highest and last values", values)]), *notes)


def _ends_of(one: curves.Series) -> dict[str, Any]:
    ys = [y for _, y in one.known]
    return {
        "series": one.name,
        "points": len(one.points),
        "missing": len(one.points) - len(ys),
        "first": ys[0] if ys else None,
        "lowest": min(ys, default=None),
        "highest": max(ys, default=None),
        "last": ys[-1] if ys else None,
    }


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
        tag(
            "figure", tag("figcaption", tag("h4", _named(name).replace("_", " "))), charts.bars(_spoken(values.items()))
        )
        for name, values in groups.items()
    ]
    return tag(
        "section",
        tag(heading, "Counters"),
        tables.pairs(single, "Counters") if single else None,
        tag("div", *drawn, class_="panels many" if len(drawn) > 1 else "panels") if drawn else None,
    )


def _spoken(values: Iterable[tuple[str, Any]]) -> list[tuple[str, Any]]:
    return [(name.replace("_", " "), value) for name, value in values]


def _means(folder: Folder, *, opened: bool) -> Iterable[Html]:
    """Settings, inputs, timings and whatever else the manifest holds, folded where the run is not the outer one."""
    if config := folder.record.get("config"):
        settings = tables.flat(config)
        yield _details(f"Settings ({len(settings)})", tables.pairs(settings, "Settings"), opened=opened)
    if inputs := folder.record.get("inputs"):
        rows = [_input(item) for item in inputs]
        yield _details(f"Inputs ({len(rows)})", tables.table(rows, "Inputs"), opened=opened)
    if parts := _part(folder, "timings").get("parts"):
        bars = charts.bars(_spoken(parts.items()), words.duration)
        yield _details("Where the time went", bars, opened=opened)
    told = {table.name for table in folder.tables}
    if more := {key: value for key, value in folder.record.items() if key not in _KNOWN | told}:
        yield _details("More from the manifest", tables.pairs(more, "More from the manifest"), opened=opened)


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
    return _details("Versions", tables.pairs(shown, "Versions"), opened=True) if shown else None


def _part(folder: Folder, name: str) -> dict[str, Any]:
    """A mapping inside the record; an unfinished run has no counters and no timings."""
    value = folder.record.get(name)
    return value if isinstance(value, dict) else {}


def _details(summary: str, inner: Html, *, opened: bool = False) -> Html:
    return tag("details", tag("summary", summary), inner, open=opened)
