"""A random Llama of the real architecture, a tokenizer trained on the texts at hand, and a scorer of a few lines."""

import json
from collections.abc import Iterable
from pathlib import Path

COLOURS = ["red", "blue", "green", "grey", "white"]
ITEMS = 24


def write_lines(path: Path, rows: Iterable[dict]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def build(folder: Path, texts: list[str], *, positions: int = 512, vocabulary: int = 400) -> Path:
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    plain = Tokenizer(models.BPE())
    plain.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    plain.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=["<s>", "</s>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    plain.train_from_iterator(texts, trainer)
    # like LLaMA-2: BOS is put in front of everything unless one asks for none
    plain.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=plain, bos_token="<s>", eos_token="</s>")
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=positions,
        initializer_range=0.3,  # far from uniform, so that choices differ
        bos_token_id=0,
        eos_token_id=1,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


class Reference:
    """Sums of log-probabilities, one sequence at a time, without any harness."""

    def __init__(self, folder: Path):
        from transformers import AutoModelForCausalLM, AutoTokenizer

        self.model = AutoModelForCausalLM.from_pretrained(folder).eval()
        self.tokenizer = AutoTokenizer.from_pretrained(folder)

    def ids(self, text: str) -> list[int]:
        return self.tokenizer(text, add_special_tokens=False)["input_ids"]

    def score(self, context: str, continuation: str) -> float:
        """EOS for an empty context, no BOS anywhere."""
        import torch

        before = self.ids(context) if context else [self.tokenizer.eos_token_id]
        after = self.ids(context + continuation)[len(before) :] if context else self.ids(continuation)
        with torch.no_grad():
            logits = self.model(torch.tensor([before + after])).logits[0]
        steps = logits.log_softmax(-1)[len(before) - 1 : -1]
        return float(steps.gather(1, torch.tensor(after)[:, None]).sum())
