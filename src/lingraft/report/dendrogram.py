"""Trees beside a heat map: which rows are alike, and how much, from a linkage as scipy makes it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lingraft.report import words
from lingraft.report.markup import Html, tag


@dataclass(frozen=True)
class Tree:
    """A checked linkage over `len(order)` leaves."""

    merges: list[tuple[int, int, float]]
    """Two nodes and the height at which they meet; node n + i is made by merge i."""
    order: list[int]
    """The leaves from the first to the last as the tree has them, without a crossing."""

    def path(self, depth: float, size: float) -> str:
        """Write the path of the tree: leaves at 0, `size` apart, the root at `depth`; x is height, y is the place."""
        num = len(self.order)
        tallest = max((height for _, _, height in self.merges), default=0) or 1
        place = {leaf: (index + 0.5) * size for index, leaf in enumerate(self.order)}
        at = dict.fromkeys(self.order, 0.0)
        parts = []
        for node, (a, b, height) in enumerate(self.merges, start=num):
            x = depth * height / tallest
            parts.append(f"M{at[a]:.1f},{place[a]:.1f}H{x:.1f}V{place[b]:.1f}H{at[b]:.1f}")
            place[node], at[node] = (place[a] + place[b]) / 2, x
        return "".join(parts)


def tree_of(linkage: Any, num: int) -> Tree | None:
    """Return the tree of `linkage`, a list of [a, b, height, count] over `num` leaves; None where it does not fit."""
    if not isinstance(linkage, list) or num < 2 or len(linkage) != num - 1:
        return None
    merges: list[tuple[int, int, float]] = []
    free = set(range(num))
    for node, merge in enumerate(linkage, start=num):
        numbers = [words.finite(value) for value in merge[:3]] if isinstance(merge, list | tuple) else []
        if len(numbers) != 3 or None in numbers:
            return None
        a, b, height = numbers
        if a == b or not {a, b} <= free or height < 0:
            return None
        free -= {a, b}
        free.add(node)
        merges.append((int(a), int(b), height))
    return Tree(merges, _leaves(merges, num))


def _leaves(merges: Sequence[tuple[int, int, float]], num: int) -> list[int]:
    found, waiting = [], [num + len(merges) - 1]
    while waiting:
        node = waiting.pop()
        if node < num:
            found.append(node)
        else:
            a, b, _ = merges[node - num]
            waiting += [b, a]
    return found


def draw(tree: Tree, depth: float, size: float, *, columns: bool = False) -> Html:
    """Draw `tree` to the right of its leaves or, for columns, over them."""
    turned = f"matrix(0,-1,1,0,0,{depth:g})" if columns else None
    return tag("path", d=tree.path(depth - 2, size), transform=turned)
