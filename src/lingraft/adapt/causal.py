"""The data of causal training: sequences with names, mixed with plain text for replay, after checking that all fits."""

from pathlib import Path
from typing import Any

from lingraft.augment.operators import Insertion, TagIds
from lingraft.augment.packing import Mixed, PackedSequences
from lingraft.augment.tokenizer import fingerprint
from lingraft.errors import LingraftError
from lingraft.runs import read_manifest

Sequences = PackedSequences | Mixed


def check_fit(encoded: Path, model: str, tokenizer: Any, positions: int | None, length: int) -> None:
    """Raise LingraftError unless the corpus was encoded with the model's tokenizer and the model reads `length`."""
    held = read_manifest(encoded, "augment")
    if held["tokenizer"]["fingerprint"] != fingerprint(tokenizer):
        raise LingraftError(
            f"{encoded} was encoded with another tokenizer than that of {model}",
            f"It was encoded for {held['config']['model']}; its token ids mean other words to this model.",
            f"Encode the corpus again with: lingraft augment --model {model}",
        )
    if tokenizer.eos_token_id is None:
        raise LingraftError(
            f"the tokenizer of {model} has no end-of-text token",
            "Each document is closed with one.",
            "Set eos_token in the model's tokenizer_config.json.",
        )
    if positions is not None and positions < length:
        raise LingraftError(
            f"training.length is {length}, but {model} reads at most {positions} tokens",
            "That is max_position_embeddings in its config.json.",
            f"Say --set training.length={positions} or less.",
        )


def sequences(
    encoded: Path,
    replay: Path | None,
    replay_share: float,
    insertion: Insertion,
    *,
    length: int,
    number: int,
    eos_id: int,
    tags: TagIds | None,
    seed: int,
) -> tuple[Sequences, dict[str, float]]:
    """Return the dataset and, by corpus, how many times it is read."""
    main = PackedSequences(encoded, insertion, length, number, eos_id=eos_id, tag_ids=tags, seed=seed)
    if replay is None:
        return main, {"epochs": main.epochs()}
    plain = PackedSequences(replay, Insertion(operation="none"), length, number, eos_id=eos_id, seed=seed)
    mix = Mixed([(main, 1 - replay_share), (plain, replay_share)], number)
    first, second = mix.taken()
    return mix, {"epochs": main.epochs(first), "replay_epochs": plain.epochs(second)}
