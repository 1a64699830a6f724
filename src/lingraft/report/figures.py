"""A table as a figure: its title, what a reader has to know, the drawing that its kind asks for, and its values."""

from collections.abc import Mapping, Sequence
from typing import Any

from lingraft.report import charts, curves, effects, examples, findings, heatmap, scatter, tables, words, worldmap
from lingraft.report.charts import Palette
from lingraft.report.drawing import Drawing
from lingraft.report.folders import Table
from lingraft.report.markup import Html, join, tag

FINDINGS = "findings"
"""The name of a table of sentences, which stands first in a report."""
_SCORE_COLUMNS = ["group", "label", "value", "low", "high", "chance"]


def drawing(table: Table, palette: Palette) -> Drawing | None:
    """Draw `table` as its kind asks, or return None where that has no marks: a table, counts, examples."""
    match table.kind:
        case "scores":
            return _scores(table, palette)
        case "curve" if all("x" in row and "y" in row for row in table.rows):
            return _curve(table, palette)
        case "heatmap":
            return heatmap.draw(table.rows, table.extra, table.title)
        case "effects":
            return effects.draw(table.rows, table.extra, table.title)
        case "scatter":
            return scatter.draw(table.rows, table.extra, table.title)
        case "map":
            return worldmap.draw(table.rows, table.extra, table.title)
    return None


def figure(table: Table, palette: Palette) -> Html:
    """Return the figure of `table`, whatever its kind."""
    drawn = drawing(table, palette)
    if drawn is not None:
        more = _signatures(table.rows) if table.kind == "scores" else None
        values = details(*drawn.values) if drawn.values else None
        return _framed(table, join([drawn.html, values, more]), *drawn.notes)
    if table.name == FINDINGS and findings.are_findings(table.rows):
        return _framed(table, findings.draw(table.rows))
    if table.kind == "examples":
        return _framed(table, examples.draw(table.rows))
    if table.kind == "counts" and all({"name", "value"} == row.keys() for row in table.rows):
        known = [(str(row["name"]), value) for row in table.rows if (value := words.finite(row["value"])) is not None]
        without = [str(row["name"]) for row in table.rows if words.finite(row["value"]) is None]
        bars = charts.bars(known) if charts.tells(known) else tables.pairs(dict(spoken(known)), table.title)
        return _framed(table, bars, f"Without a value: {words.listing(without)}." if without else "")
    return _framed(table, tables.table(table.rows, table.title))


def score_table(table: Table) -> Html:
    """Return the scores as a table: their chart stands elsewhere."""
    return _framed(table, join([_score_values(table), _signatures(table.rows)]))


def details(summary: str, inner: Html, *, opened: bool = False) -> Html:
    """Fold `inner` behind its summary."""
    return tag("details", tag("summary", summary), inner, open=opened)


def named(text: str) -> str:
    """Begin with a capital."""
    return text[:1].upper() + text[1:]


def spoken(values: Any) -> list[tuple[str, Any]]:
    """Write the names of pairs as words."""
    return [(name.replace("_", " "), value) for name, value in values]


def _framed(table: Table, drawn: Html, *notes: str) -> Html:
    said = " ".join(part for part in (table.note, *(note for note in notes if note not in table.note)) if part)
    return tag(
        "figure",
        tag("figcaption", tag("h3", named(table.title), dir="auto"), tag("p", said, dir="auto") if said else None),
        drawn,
        class_=table.kind if table.kind in _KINDS else "table",
    )


_KINDS = ("scores", "curve", "examples", "counts", "heatmap", "effects", "scatter", "map")


def _scores(table: Table, palette: Palette) -> Drawing:
    gone = sum(words.finite(row.get("value")) is None for row in table.rows)
    how = "Dots are the values, lines their intervals, the dashed line is chance."
    notes = [how, f"{words.several(gone, 'score')} without a value."] if gone else [how]
    drawn = charts.scores(table.rows, palette)
    return Drawing(drawn.html, notes, ("The values as a table", _score_values(table)), drawn.picture)


def _score_values(table: Table) -> Html:
    columns = [*_SCORE_COLUMNS, *dict.fromkeys(key for row in table.rows for key in row if key not in _SCORE_COLUMNS)]
    columns = [name for name in columns if name != "signature" and any(name in row for row in table.rows)]
    return tables.table(table.rows, table.title, columns=columns)


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
    return details(f"Signatures ({len(signed)})", tag("dl", *terms, class_="signatures"))


def _signature(value: Any) -> str:
    if not isinstance(value, Mapping):
        return str(value)
    return " | ".join(f"{name}:{part}" for name, part in tables.flat(value).items())


def _curve(table: Table, palette: Palette) -> Drawing:
    series, nowhere = curves.series_of(table.rows)
    drawn = curves.draw(series, table.title, palette)
    values = tables.table([_ends_of(one) for one in series], f"{table.title}, first and last values")
    notes = curves.notes(series, nowhere)
    return Drawing(drawn.html, notes, ("First, lowest, highest and last values", values), drawn.picture)


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
