"""Heat maps: a cell a pair, its value as a colour; clustered where trees come with the table.

The map is four pieces, so that the names stay in sight while it scrolls. Its cells are one path a colour: 158 x 31 of
them are 80 kB. Values and intervals stand in the table under the map, which sorts by any column; the script reads from
it what the map says of the cell under a finger, a pointer, or the arrow keys.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lingraft.report import dendrogram, shades, tables, words
from lingraft.report.dendrogram import Tree
from lingraft.report.drawing import Drawing, Piece, cut, text_width
from lingraft.report.markup import Html, join, tag
from lingraft.report.shades import Shades

PRINTED = 240
"""Up to so many cells have their numbers written into them."""
MANY = 12_000
"""With more cells than this the table of values is left out."""
DEPTH = 64
WIDEST = 150
"""Pixels for names, at most."""

Cells = dict[tuple[int, int], Mapping[str, Any]]


@dataclass(frozen=True)
class Grid:
    """The rows of the table by place; names stand in the order in which they are drawn."""

    rows: list[str]
    columns: list[str]
    cells: Cells
    row_tree: Tree | None
    column_tree: Tree | None

    def value(self, row: int, column: int) -> float | None:
        """Return the value of a cell, None where it is missing."""
        return words.finite(self.cells.get((row, column), {}).get("value"))

    @property
    def values(self) -> list[float]:
        """All values that there are."""
        return [value for cell in self.cells.values() if (value := words.finite(cell.get("value"))) is not None]


def grid_of(rows: Iterable[Mapping[str, Any]], extra: Mapping[str, Any]) -> tuple[Grid, list[str]]:
    """Sort rows (row, column, value, low, high, note) into a grid; also return what a reader has to know."""
    found: dict[tuple[str, str], Mapping[str, Any]] = {}
    unnamed = again = 0
    for row in rows:
        if row.get("row") is None or row.get("column") is None:
            unnamed += 1
            continue
        key = (str(row["row"]), str(row["column"]))
        again += key in found
        found.setdefault(key, row)
    across, down = (list(dict.fromkeys(key[place] for key in found)) for place in (1, 0))
    trees, notes = [], []
    for name, names in (("row", down), ("column", across)):
        linkage = extra.get(f"{name}_tree")
        tree = None if linkage is None else dendrogram.tree_of(linkage, len(names))
        trees.append(tree)
        if linkage is not None and tree is None:
            notes.append(f"The tree of the {name}s does not fit their {len(names):,} names and is left out.")
    down, across = (
        [names[place] for place in tree.order] if tree else names
        for names, tree in zip((down, across), trees, strict=True)
    )
    place = [{name: index for index, name in enumerate(names)} for names in (down, across)]
    cells = {(place[0][row], place[1][column]): held for (row, column), held in found.items()}
    grid = Grid(down, across, cells, *trees)
    if unnamed:
        notes.append(f"{words.several(unnamed, 'row')} of the table without a name for row or column left out.")
    if again:
        notes.append(f"{words.several(again, 'value')} for a cell that had one already left out.")
    if gone := len(down) * len(across) - len(grid.values):
        notes.append(f"Hatched: {words.several(gone, 'cell')} without a value.")
    return grid, notes


def draw(rows: Sequence[Mapping[str, Any]], extra: Mapping[str, Any], title: str) -> Drawing:
    """Draw a table of the kind heatmap; `extra`: unit, diverging, row_name, column_name, row_tree, column_tree."""
    grid, notes = grid_of(rows, extra)
    if extra.get("row_name") and extra.get("column_name"):
        notes.insert(0, f"Rows: {extra['row_name']}; columns: {extra['column_name']}.")
    if not grid.values:
        return Drawing(tag("p", "Not one cell has a value: nothing to draw.", class_="aside"), notes)
    asked = extra.get("diverging")
    colours = shades.shades_of(grid.values, asked if isinstance(asked, bool) else None)
    if any(colours.beyond):
        notes.append("A few values lie beyond the ends of the colour scale and have its last colours.")
    if grid.row_tree or grid.column_tree:
        notes.append("Neighbours in the trees are alike; the longer the way to where two meet, the less.")
    parts = _pieces(grid, colours, str(extra.get("unit") or ""))
    values = None
    if len(grid.rows) * len(grid.columns) <= MANY:
        values = "The values as a table", _table(grid, title)
    else:
        notes.append("The values are too many for a table here; they stand in the run folder.")
    label = f"Heat map of {len(grid.rows):,} rows by {len(grid.columns):,} columns. {_extremes(grid)}"
    return Drawing(_page(parts, title, label), notes, values, _picture(parts))


def _pieces(grid: Grid, colours: Shades, unit: str) -> dict[str, Piece]:
    num_rows, num_columns = len(grid.rows), len(grid.columns)
    printed = num_rows * num_columns <= PRINTED
    wide, high = (48, 26) if printed else (max(14, min(28, 720 // num_columns)), 15)
    width, height = wide * num_columns, high * num_rows
    names = min(WIDEST, max(map(text_width, grid.rows)) + 14)
    flat = max(map(text_width, grid.columns)) <= wide - 4
    above = 18 if flat else min(WIDEST, max(map(text_width, grid.columns)) + 14)
    pieces = {
        "bar": Piece(*colours.bar(unit), "bar"),
        "columns": Piece(_column_names(grid.columns, wide, above, flat), width, above, "column-names"),
        "rows": Piece(_row_names(grid.rows, high, names), names, height, "row-names"),
        "cells": Piece(_cells(grid, colours, wide, high, printed), width, height, "cells"),
    }
    if grid.column_tree:
        drawn = dendrogram.draw(grid.column_tree, DEPTH, wide, columns=True)
        pieces["column_tree"] = Piece(drawn, width, DEPTH, "tree")
    if grid.row_tree:
        pieces["row_tree"] = Piece(dendrogram.draw(grid.row_tree, DEPTH, high), DEPTH, height, "tree")
    return pieces


def _cells(grid: Grid, colours: Shades, wide: int, high: int, printed: bool) -> Html:
    """Draw the cells: one path a colour, neighbours in a row joined; hatching; numbers where there is room."""
    paths: dict[str, list[str]] = {}
    gaps, texts = [], []
    places = words.decimals(grid.values)
    for row in range(len(grid.rows)):
        y = row * high
        last, start = None, 0
        for column in range(len(grid.columns) + 1):
            value = grid.value(row, column) if column < len(grid.columns) else None
            css = None if value is None else colours.css(value)
            if css != last:
                if last is not None:
                    run = (column - start) * wide
                    paths.setdefault(last, []).append(f"M{start * wide},{y}h{run}v{high}h-{run}z")
                last, start = css, column
            if column == len(grid.columns):
                break
            x = column * wide
            if value is None:
                gaps.append(f"M{x},{y + high // 2}l{high // 2},-{high // 2}M{x},{y + high}l{high},-{high}")
            elif printed:
                at = {"x": x + wide // 2, "y": y + high // 2 + 4}
                texts.append(tag("text", f"{value:.{places}f}", class_=f"{css} on-{css}", **at))
    drawn = [tag("path", class_=css, d="".join(parts)) for css, parts in sorted(paths.items())]
    return join([*drawn, tag("path", class_="gap", d="".join(gaps)) if gaps else None, *texts])


def _row_names(names: Sequence[str], high: int, width: float) -> Html:
    return join(
        tag("text", tag("title", name), cut(name, width - 6), x=f"{width - 5:g}", y=high * index + high // 2 + 4)
        for index, name in enumerate(names)
    )


def _column_names(names: Sequence[str], wide: int, height: float, flat: bool) -> Html:
    if flat:
        return join(
            tag("text", name, class_="flat", x=wide * index + wide // 2, y=f"{height - 6:g}")
            for index, name in enumerate(names)
        )
    return join(
        tag(
            "text",
            tag("title", name),
            cut(name, height - 8),
            class_="upright",
            transform=f"translate({wide * index + wide / 2 + 4:g},{height - 5:g})rotate(-90)",
        )
        for index, name in enumerate(names)
    )


def _page(parts: Mapping[str, Piece], title: str, label: str) -> Html:
    wide, high = _cell_size(parts)
    drawn = {name: part.html(aria_hidden="true") for name, part in parts.items() if name != "cells"}
    drawn["cells"] = parts["cells"].html(role="img", aria_label=label, data_wide=wide, data_high=high)
    sheet = [tag("div", drawn[name], class_=name.replace("_", "-")) for name in drawn if name != "bar"]
    return join(
        [
            tag("div", drawn["bar"], class_="legend"),
            tables.scrolling(tag("div", tag("div", class_="corner"), *sheet, class_="sheet"), title, css="scroll heat"),
        ]
    )


def _cell_size(parts: Mapping[str, Piece]) -> tuple[str, str]:
    num_rows, num_columns = (parts[name].inner.count("<text") for name in ("rows", "columns"))
    return f"{parts['cells'].width / num_columns:g}", f"{parts['cells'].height / num_rows:g}"


def _picture(parts: Mapping[str, Piece]) -> Piece:
    """Put the pieces together: names left and above, trees right and on top, the colour bar below."""
    left, cells = parts["rows"].width, parts["cells"]
    top = parts["column_tree"].height if "column_tree" in parts else 0
    below = top + parts["columns"].height
    at = {
        "column_tree": (left, 0),
        "columns": (left, top),
        "rows": (0, below),
        "cells": (left, below),
        "row_tree": (left + cells.width, below),
        "bar": (left, below + cells.height + 14),
    }
    width = max(left + cells.width + DEPTH * ("row_tree" in parts), left + parts["bar"].width)
    height = below + cells.height + 14 + parts["bar"].height
    return Piece(join(parts[name].at(*place) for name, place in at.items() if name in parts), width, height, "heat")


def _table(grid: Grid, title: str) -> Html:
    """Write the values as rows and columns, with interval and note as each cell's title; no mark-up to spare."""
    places = words.decimals(grid.values)
    head = tag("tr", tag("th", "", scope="col"), *(tag("th", name, scope="col") for name in grid.columns))
    body = [
        tag(
            "tr",
            tag("th", name, scope="row"),
            *(_value(grid.cells.get((row, column)), places) for column in range(len(grid.columns))),
        )
        for row, name in enumerate(grid.rows)
    ]
    table = tag("table", tag("thead", head), tag("tbody", *body), class_="sortable grid")
    return tables.scrolling(table, title, css="scroll tall" if len(body) > tables.TALL else "scroll")


def _value(cell: Mapping[str, Any] | None, places: int) -> Html:
    value = words.finite((cell or {}).get("value"))
    said = []
    if cell is not None:
        low, high = (words.finite(cell.get(key)) for key in ("low", "high"))
        if value is not None and low is not None and high is not None:
            said.append(f"{low:.{places}f} to {high:.{places}f}")
        if cell.get("note"):
            said.append(str(cell["note"]))
    return tag("td", words.MISSING if value is None else f"{value:.{places}f}", title="; ".join(said) or None)


def _extremes(grid: Grid) -> str:
    known = [(value, key) for key in grid.cells if (value := grid.value(*key)) is not None]
    told = [
        f"{name} {words.number(float(f'{value:.4g}'))}, {grid.rows[row]} and {grid.columns[column]}"
        for name, (value, (row, column)) in (("Lowest", min(known)), ("highest", max(known)))
    ]
    return f"{told[0]}; {told[1]}."
