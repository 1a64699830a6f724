"""What the task files beside this one call: the records, and two ways to draw shots."""

from random import Random
from typing import Any

from lm_eval.api.samplers import ContextSampler

from lingraft.errors import LingraftError
from lingraft.evaluate import xcsr


def load(collection: str, language: str, data: str | None = None, **_: Any) -> dict[str, Any]:
    """Give lm-eval the labelled split; `data` is the --data folder, the hub is asked without it."""
    import datasets

    return {"validation": datasets.Dataset.from_list(xcsr.read(collection, language, data))}


class _Seeded(ContextSampler):
    """A sampler that keeps its seed instead of a stream, so that no draw depends on the draws before it."""

    seed: int | None = None

    def set_rnd(self, rnd: int | None) -> "_Seeded":
        """Take the seed; lm-eval calls this before the first sample."""
        self.seed = rnd
        return self


class LeaveOneOut(_Seeded):
    """Shots from the other items of the evaluated split, drawn from (seed, item) alone.

    lm-eval's own sampler draws from one stream, so an item's shots depend on the items before it, and it leaves the
    item out only when it evaluates a `test_split`. Here an item never sees itself, nor another item with its stem.
    """

    def sample(self, n: int, eval_doc: dict[str, Any] | None = None, df: Any = None, **_: Any) -> list[dict[str, Any]]:
        """Return n records for the item `eval_doc`, in an order that is drawn as well."""
        if eval_doc is None:
            raise ValueError("leave-one-out needs the item: let test_split and fewshot_split name the same split")
        others = [doc for doc in self.df if doc["index"] != eval_doc["index"] and doc["stem"] != eval_doc["stem"]]
        _need(n, len(others))
        return Random(f"{self.seed} {eval_doc['index']}").sample(others, n)


class OneDraw(_Seeded):
    """One draw of shots for all items, from the evaluated split itself: LEIA's way, kept for parity.

    The drawn items see their own answer in the prompt; the harness counts them.
    """

    def sample(self, n: int, eval_doc: dict[str, Any] | None = None, df: Any = None, **_: Any) -> list[dict[str, Any]]:
        """Return the same n records whatever the item."""
        _need(n, len(self.df))
        return Random(f"{self.seed}").sample(list(self.df), n)


def _need(n: int, held: int) -> None:
    if held < n:
        raise LingraftError(
            f"{n} shots asked, {held} items to draw from",
            "The split is too small for so many shots.",
            "Give the whole data set with --data, or fewer shots with --num-shots.",
        )
