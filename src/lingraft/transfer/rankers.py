"""Ways to score donors for a recipient whose own results are not looked at.

Each method scores every donor for every recipient from the other recipients only (leave one recipient out), so that
what it is worth can be measured on all of them:

- `donor effect`: how much more than other donors a donor helped the other recipients;
- `k probes`: the same learnt from k other recipients, drawn anew: what a few measured recipients are worth;
- `features`: gradient-boosted trees over what is known of a pair without training (100 trees of 16 leaves, as in
  LangRank: Lin et al. 2019); missing values are allowed. The target is the gain above the recipient's mean donor.
  A fit takes .2 s at 158 x 31, so with more than 10 recipients they are left out in 10 groups, not one by one;
- `features, donor unseen`: the same without the donor either (3 x 4 groups). Sizes tell donors apart as names would,
  so `features` is in part a donor effect by other means; this is what features are worth for a donor never trained;
- `features + donor effect`: trees over the same features for what the donor effect leaves unexplained;
- every feature alone that says near or large; `random`; and the true order, `oracle`.

Only `features, donor unseen` and the single features can score a donor that was never trained.
A pointwise loss stands in for LambdaRank, which scikit-learn has not: it also gives a gain in its own unit.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from lingraft.transfer.rank_measures import ndcg

RANDOM, ORACLE, DONOR_EFFECT = "random", "oracle", "donor effect"
FEATURES, BOTH, NEW_DONOR = "features", "features + donor effect", "features, donor unseen"
TREES, LEAVES, LEAF_SIZE = 100, 16, 5
FOLDS = 10
DONOR_FOLDS, RECIPIENT_FOLDS = 3, 4

SIZE = "size"
SIZES = ("donor_lines", "donor_bytes", "donor_tokens")
"""Columns of features that say how much text a donor has: the first that is there is the method `size`."""


@dataclass(frozen=True)
class Study:
    """What was measured, and what is known of each pair; both may have gaps."""

    gain: np.ndarray
    """(donors, recipients), NaN where not measured."""
    features: np.ndarray
    """(donors, recipients, features), NaN where unknown."""
    names: tuple[str, ...]
    """Of the features."""

    @property
    def others(self) -> np.ndarray:
        """(recipients, recipients): for each recipient the weights of the other ones."""
        return 1.0 - np.eye(self.gain.shape[1])

    def only(self, known: np.ndarray) -> "Study":
        """Return the study with some of its features, (features,)."""
        names = tuple(name for name, is_known in zip(self.names, known, strict=True) if is_known)
        return Study(self.gain, self.features[:, :, known], names)


@dataclass(frozen=True)
class Asked:
    """Candidates for recipients outside of the study."""

    place: np.ndarray
    """(candidates,): of the candidate among the study's donors; -1 for one that was never trained."""
    features: np.ndarray
    """(candidates, asked recipients, features)."""


@dataclass(frozen=True)
class Method:
    """The scores of one method; the highest is the best."""

    name: str
    kind: Literal["bound", "learnt", "measure"]
    """measure: one feature as it is; its score is in a unit of its own. The others are gains above the mean donor."""
    held_out: np.ndarray
    """(donors, recipients): each recipient scored from the other ones."""
    asked: np.ndarray | None = None
    """(candidates, asked recipients), where somebody asked; NaN where the method does not know."""
    forest: "Forest | None" = None
    """The trees, of `features`."""


def donor_effects(gain: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Fit gain = recipient's level + donor's effect by least squares, once for each row of `weights` (n, recipients).

    It is `effects.two_way` for thousands of subsets of the recipients at once.

    Returns the donors' effects (n, donors), whose mean is 0, and NaN for a donor without any weighted cell; and the
    recipients' levels (n, recipients), also of those without weight, given these effects. Gaps are allowed: the fit
    goes to and fro between both until it stands still; without gaps its first step is exact.
    """
    is_measured = np.isfinite(gain).astype(float)
    held = np.nan_to_num(gain)
    cells = weights @ is_measured.T
    known = (cells > 0).astype(float)
    levels = _ratio(known @ held, known @ is_measured)
    found = np.zeros_like(cells)
    for _ in range(1000):
        before = found
        found = _ratio(weights @ held.T - (weights * levels) @ is_measured.T, cells)
        found = known * (found - _ratio(found.sum(1), known.sum(1))[:, None])
        levels = _ratio(known @ held - found @ is_measured, known @ is_measured)
        if np.abs(found - before).max(initial=0) < 1e-10 * (1 + np.abs(held).max(initial=0)):
            break
    return np.where(known > 0, found, np.nan), levels


def methods(study: Study, asked: Asked | None = None, *, seed: int = 0) -> list[Method]:
    """Return every method that the study allows: without features there is nothing but the donor effect."""
    nobody = None if asked is None else np.full(asked.features.shape[:2], np.nan)
    found = [
        Method(RANDOM, "bound", np.zeros_like(study.gain), nobody),
        Method(ORACLE, "bound", study.gain, nobody),
    ]
    held_out = donor_effects(study.gain, study.others)[0].T
    of_asked = None if asked is None else _effects_of(asked, study)
    found.append(Method(DONOR_EFFECT, "learnt", held_out, of_asked))
    if study.names:
        for name, column, sign in _measures(study.names):
            answer = None if asked is None else sign * asked.features[:, :, column]
            found.append(Method(name, "measure", sign * study.features[:, :, column], answer))
        forest = Forest(study, seed=seed)
        of_new = None if asked is None else forest.of(asked)
        of_asked_trained = None if asked is None else np.where(asked.place[:, None] < 0, np.nan, of_new)
        found.append(Method(FEATURES, "learnt", forest.held_out(), of_asked_trained, forest))
        found.append(Method(NEW_DONOR, "learnt", forest.held_out_twice(), of_new))
        rest = Forest(study, seed=seed, beyond_effects=True)
        answer = None if asked is None else of_asked + rest.of(asked)
        found.append(Method(BOTH, "learnt", held_out + rest.held_out(), answer))
    return found


def probe_scores(gain: np.ndarray, recipient: int, k: int, *, draws: int, seed: int) -> np.ndarray:
    """Return donors' effects learnt from k recipients other than `recipient`, (draws, donors)."""
    num_recipients = gain.shape[1]
    generator = np.random.default_rng([seed, recipient, k])
    order = generator.permuted(np.tile(np.delete(np.arange(num_recipients), recipient), (draws, 1)), axis=1)
    weights = np.zeros((draws, num_recipients))
    np.put_along_axis(weights, order[:, :k], 1.0, axis=1)
    return donor_effects(gain, weights)[0]


class Forest:
    """Boosted trees from the features of a pair to its gain above the recipient's mean donor, a fit for each group.

    `beyond_effects`: the target is what remains of that gain after the donor's effect on the recipients other than
    this one and those left out, so that no recipient's own results stand in its donor effects.
    """

    def __init__(self, study: Study, *, seed: int, beyond_effects: bool = False):
        self.study, self.seed, self.beyond_effects = study, seed, beyond_effects
        num_recipients = study.gain.shape[1]
        self.group = np.arange(num_recipients) % FOLDS
        groups = range(min(FOLDS, num_recipients))
        self.models = [self._fit(study, self.group != group) for group in groups]
        self.whole = self._fit(study, np.ones(num_recipients, bool))

    def held_out(self) -> np.ndarray:
        """Return (donors, recipients), each recipient from the model that has not seen it."""
        given = self.study.features
        return np.column_stack([self.models[group].predict(given[:, at]) for at, group in enumerate(self.group)])

    def held_out_twice(self) -> np.ndarray:
        """Return (donors, recipients), each pair from a model that has seen neither its donor nor its recipient."""
        study = self.study
        found = np.full(study.gain.shape, np.nan)
        donor_group = np.arange(len(found)) % DONOR_FOLDS
        recipient_group = np.arange(found.shape[1]) % RECIPIENT_FOLDS
        for donors in np.unique(donor_group):
            is_new = donor_group == donors
            seen = Study(study.gain[~is_new], study.features[~is_new], study.names)
            for recipients in np.unique(recipient_group):
                model = self._fit(seen, recipient_group != recipients)
                pairs = np.ix_(is_new, recipient_group == recipients)
                given = study.features[pairs]
                found[pairs] = model.predict(given.reshape(-1, given.shape[-1])).reshape(given.shape[:2])
        return found

    def of(self, asked: Asked) -> np.ndarray:
        """Return (candidates, asked recipients) from the model of all; NaN for a pair of which nothing is known."""
        given = asked.features
        found = self.whole.predict(given.reshape(-1, given.shape[-1])).reshape(given.shape[:2])
        return np.where(np.isfinite(given).any(-1), found, np.nan)

    def importance(self, *, repeats: int = 5, k: int = 10) -> np.ndarray:
        """Return how much NDCG@k falls when one feature of a left-out recipient is shuffled among its donors.

        (recipients, features), the mean of `repeats` shuffles. Features that tell the same share their importance.
        """
        num_donors, num_recipients, num_features = self.study.features.shape
        lost = np.zeros((num_recipients, num_features))
        for place, group in enumerate(self.group):
            model, given, gain = self.models[group], self.study.features[:, place], self.study.gain[:, place]
            shuffled = np.tile(given, (num_features, repeats, 1, 1))
            for column in range(num_features):
                generator = np.random.default_rng([self.seed, place, column])
                for repeat in range(repeats):
                    shuffled[column, repeat, :, column] = generator.permutation(given[:, column])
            scores = model.predict(shuffled.reshape(-1, num_features)).reshape(num_features, repeats, num_donors)
            lost[place] = ndcg(gain, model.predict(given), k) - ndcg(gain, scores, k).mean(1)
        return lost

    def _fit(self, study: Study, kept: np.ndarray) -> Any:
        """Fit on the recipients that `kept` (recipients,) marks."""
        from sklearn.ensemble import HistGradientBoostingRegressor

        gain = study.gain
        if self.beyond_effects and kept.sum() > 1:
            found, levels = donor_effects(gain, kept * study.others)
            target = gain - np.nan_to_num(found.T) - np.diagonal(levels)
        else:
            target = gain - donor_effects(gain, kept[None].astype(float))[1]
        is_used = np.isfinite(target[:, kept])
        if not is_used.any():
            return _Nothing()
        model = HistGradientBoostingRegressor(
            max_iter=TREES,
            max_leaf_nodes=LEAVES,
            min_samples_leaf=LEAF_SIZE,
            max_bins=64,
            early_stopping=False,
            random_state=self.seed,
        )
        given = study.features[:, kept][is_used]
        given[:, np.isnan(given).all(0)] = 0  # scikit-learn cannot bin a column without a value
        return model.fit(given, target[:, kept][is_used])


class _Nothing:
    """What is learnt from no cell at all: every donor is an average one."""

    def predict(self, features: np.ndarray) -> np.ndarray:
        return np.zeros(len(features))


def _effects_of(asked: Asked, study: Study) -> np.ndarray:
    """Return (candidates, asked recipients): the donors' effects, the same for all; NaN for one never trained."""
    found = donor_effects(study.gain, np.ones((1, study.gain.shape[1])))[0][0]
    of_candidates = np.where(asked.place < 0, np.nan, found[asked.place])
    return np.repeat(of_candidates[:, None], asked.features.shape[1], axis=1)


def _measures(names: Sequence[str]) -> Iterator[tuple[str, int, float]]:
    """Yield (name of the method, column, 1 or -1) of the features that rank donors by themselves."""
    size = next((name for name in SIZES if name in names), None)
    for column, name in enumerate(names):
        if name == size:
            yield SIZE, column, 1.0
        elif "distance" in name or "_jsd" in name:
            yield name, column, -1.0
        elif name.startswith(("overlap_", "same_")) or name.endswith("_similarity"):
            yield name, column, 1.0


def _ratio(top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    """Divide, and give 0 for what has nothing to divide by."""
    return np.divide(top, bottom, out=np.zeros_like(top), where=bottom > 0)
