"""Tokenizers and models of the real kinds, tiny and random, for the tests of scoring and translation."""

from typing import Any

WORDS = "the river runs from mountain to sea and nobody asks why it does so naïve café été über straße".split()
SCRIPTS = "Η γλώσσα είναι ζωή 中文 日本語 ಕನ್ನಡ ሰላም привіт 👩‍🚀 😀 ㎏ ﬁn"
LINES = [
    *(" ".join(WORDS[(start + step * place) % len(WORDS)] for place in range(2 + start))
      for start in range(20) for step in (1, 3, 5)),
    *SCRIPTS.split(),
    SCRIPTS,
]  # fmt: skip


def unigram_tokenizer(lines: list[str] = LINES, vocabulary: int = 300) -> Any:
    """A tokenizer as T5 has it: Unigram, words that begin with a mark, sentinels; no byte fallback."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    raw = Tokenizer(models.Unigram())
    raw.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace("  ", " "), normalizers.Strip()])
    raw.pre_tokenizer = pre_tokenizers.Metaspace()
    special = ["<pad>", "</s>", "<unk>", *(f"<extra_id_{number}>" for number in reversed(range(100)))]
    raw.train_from_iterator(
        lines,
        trainers.UnigramTrainer(vocab_size=vocabulary, special_tokens=special, unk_token="<unk>", show_progress=False),
    )
    raw.decoder = decoders.Metaspace()
    raw.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    return PreTrainedTokenizerFast(
        tokenizer_object=raw, eos_token="</s>", pad_token="<pad>", unk_token="<unk>",
        extra_special_tokens=special[3:],
    )  # fmt: skip


def byte_tokenizer(lines: list[str] = LINES, vocabulary: int = 400) -> Any:
    """A byte-level BPE tokenizer, framed as RoBERTa's: <s> ... </s>, with a mask token."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    raw.train_from_iterator(
        lines,
        trainers.BpeTrainer(
            vocab_size=vocabulary,
            special_tokens=["<s>", "<pad>", "</s>", "<mask>"],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=raw, bos_token="<s>", cls_token="<s>", eos_token="</s>", sep_token="</s>",
        pad_token="<pad>", mask_token="<mask>",
    )  # fmt: skip


def t5(tokenizer: Any, seed: int = 0, *, hidden: int = 32, layers: int = 2, tied: bool = True) -> Any:
    """A random T5 of some 30,000 parameters."""
    import torch
    from transformers import T5Config, T5ForConditionalGeneration

    config = T5Config(
        vocab_size=len(tokenizer), d_model=hidden, d_kv=hidden // 4, d_ff=2 * hidden, num_layers=layers, num_heads=4,
        decoder_start_token_id=tokenizer.pad_token_id, pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id, tie_word_embeddings=tied, dropout_rate=0.0,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return T5ForConditionalGeneration(config).eval()


def roberta(tokenizer: Any, seed: int = 0, positions: int = 66) -> Any:
    """A random XLM-R."""
    import torch
    from transformers import XLMRobertaConfig, XLMRobertaForMaskedLM

    config = XLMRobertaConfig(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        max_position_embeddings=positions, pad_token_id=tokenizer.pad_token_id, type_vocab_size=1,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return XLMRobertaForMaskedLM(config).eval()


def llama(tokenizer: Any, seed: int = 0) -> Any:
    """A random Llama."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        max_position_embeddings=512, bos_token_id=None, eos_token_id=tokenizer.eos_token_id,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return LlamaForCausalLM(config).eval()
