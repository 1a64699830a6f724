"""What a matrix needs before any training: the questions of each language, and the text of each donor as token ids."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

from lingraft import runs
from lingraft.augment.tokenizer import load_tokenizer
from lingraft.config import digest
from lingraft.errors import LingraftError
from lingraft.transfer.base import languages_of
from lingraft.transfer.cells import Asked, halves
from lingraft.transfer.cleaning import first_by_hash
from lingraft.transfer.corpora import Corpora
from lingraft.transfer.donor_run import Places
from lingraft.transfer.matrix_settings import MatrixConfig
from lingraft.transfer.scoring_sets import scoring_set
from lingraft.transfer.training import cut, encode_plain, silent


@dataclass(frozen=True)
class Asking:
    """What a worker needs to make the questions of one language."""

    config: MatrixConfig
    place: Places
    asked: Asked


def check_languages(config: MatrixConfig) -> list[str] | None:
    """Return the languages that the base was trained on, None where nothing says so.

    Raises LingraftError for a recipient among these, and for a language that is unknown or has too little text.
    """
    corpora = Corpora(config.corpora)

    def num_lines(language: str, split: str) -> int:
        corpora.path(language, split)  # raises for what is not there at all
        return corpora.languages[language].lines[split]

    for donor in config.donors:
        for split in ("train", "validation"):
            if not num_lines(donor, split):
                raise LingraftError(
                    f"{donor} has no {split} text in {config.corpora}",
                    "A donor is trained on the one and watched on the other.",
                    f"Give {donor} more text (lingraft transfer corpora), or leave it out of the donors.",
                )
    for recipient in config.recipients:
        number = num_lines(recipient, "test")
        if number < config.min_lines:
            raise LingraftError(
                f"{recipient} has {number:,} test lines in {config.corpora}, and min_lines is {config.min_lines}",
                "So few lines say nothing of a language." if number else "There is nothing to score.",
                f"Give {recipient} more text, leave it out of the recipients, or set min_lines lower.",
            )
    seen = languages_of(config.model)
    both = [recipient for recipient in config.recipients if recipient in (seen or [])]
    if both and not config.allow_seen:
        raise LingraftError(
            f"the base has seen {', '.join(both)}",
            f"{config.model} was trained on text of {', '.join(seen or [])}: a gain on these would be no transfer.",
            "Leave them out of the recipients, make another base, or set allow_seen to true.",
        )
    return seen


def ask(job: Asking) -> dict[str, Any]:
    """Make the questions of one language, or find them; return what is noted beside them."""
    config, (language, split), path = job.config, job.asked, job.place.questions(job.asked)
    corpora, note = Corpora(config.corpora), runs.read_json(path.with_suffix(".json"))
    identity = runs.input_identity(corpora.path(language, split))
    source = digest({key: value for key, value in identity.items() if key != "name"})
    if note is not None and path.exists():
        if note["source"] != source:
            raise LingraftError(
                f"the {split} text of {language} has changed since this matrix was begun",
                "Its old cells and new ones would not be about the same lines.",
                f"Give another --out, or remove {job.place.root} to begin anew.",
            )
        return note
    drops: Counter[str] = Counter()
    lines = first_by_hash(list(corpora.lines(language, split)), config.lines, 0, drops, "beyond_lines")
    tokenizer = load_tokenizer(config.model)
    found = scoring_set(language, lines, tokenizer, config.objective, seed=config.mask_seed, length=config.length)
    if config.choose == "half" and not all(side.any() for side in halves(found.keys)):
        raise LingraftError(
            f"{language} has too few lines for choose: half",
            f"All of its {len(found.keys)} lines fall into one half.",
            "Leave it out, or choose on donor_validation.",
        )
    found.save(path)
    note = {"source": source, "digest": found.digest, "counters": dict(found.counters | drops)}
    runs.write_json(path.with_suffix(".json"), note)
    return note


def encode_donor(job: tuple[MatrixConfig, Places, str]) -> dict[str, Any]:
    """Encode the text of one donor, cut to size where that is asked for; return its counters."""
    config, place, donor = job
    corpus = Corpora(config.corpora).path(donor, "train")
    if config.donor_bytes is not None:
        corpus = cut(corpus, config.donor_bytes, place.cut(donor))
    with silent():
        return encode_plain(corpus, config.model, place.encoded(donor))
