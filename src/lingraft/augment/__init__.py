"""A corpus as token sequences with the entities' names grafted in.

`encode` turns a corpus into token ids with mentions and names beside them, `PackedSequences` draws training sequences
from it with an `Insertion`, `preview` shows what the model will read.
"""

from lingraft.augment.encoding import EncodeConfig, encode
from lingraft.augment.examples import preview
from lingraft.augment.operators import Insertion, TagIds
from lingraft.augment.packing import Mixed, PackedSequences

__all__ = ["EncodeConfig", "Insertion", "Mixed", "PackedSequences", "TagIds", "encode", "preview"]
