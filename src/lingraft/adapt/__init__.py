"""Continued training: `train` goes on with any causal language model on an encoded corpus, `make_tiny` makes one."""

from lingraft.adapt.tiny import Tiny, make_tiny
from lingraft.adapt.tokens import add_tags
from lingraft.adapt.trainer import Lora, TrainConfig, Training, train

__all__ = ["Lora", "Tiny", "TrainConfig", "Training", "add_tags", "make_tiny", "train"]
