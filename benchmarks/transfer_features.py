"""How long the overlaps of a whole matrix take, once the texts are counted.

    python benchmarks/transfer_features.py [--donors 158] [--recipients 31] [--vocabulary 250112]

Counts are made up: each text draws its tokens from a vocabulary of mT5's size, by Zipf's law over an order of its own
of which the first tenth is common to all. Timed are the five measures of all pairs, from the counts on; one thread.
"""

import argparse
import time

import numpy as np

from lingraft.transfer.overlap import Counts, overlaps


def made_up(texts: int, vocabulary: int, tokens: int, seed: int) -> list[Counts]:
    """Return the counts of `texts` texts of `tokens` tokens each."""
    generator = np.random.default_rng(seed)
    common = vocabulary // 10
    shares = 1 / np.arange(1, vocabulary + 1)
    found = []
    for _ in range(texts):
        order = np.concatenate([np.arange(common), common + generator.permutation(vocabulary - common)])
        times = np.zeros(vocabulary, np.int64)
        times[order] = generator.multinomial(tokens, shares / shares.sum())
        units = np.flatnonzero(times)
        found.append(Counts(units, times[units], np.zeros(0, np.int32), np.zeros(0, np.uint64), 0))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--donors", type=int, default=158)
    parser.add_argument("--recipients", type=int, default=31)
    parser.add_argument("--vocabulary", type=int, default=250_112)
    parser.add_argument("--tokens", type=int, default=1_000_000, help="of each text")
    options = parser.parse_args()
    donors = made_up(options.donors, options.vocabulary, options.tokens, seed=0)
    recipients = made_up(options.recipients, options.vocabulary, options.tokens // 10, seed=1)
    types = [int(np.mean([len(text.units) for text in side])) for side in (donors, recipients)]
    started, used = time.perf_counter(), time.process_time()
    found = overlaps(donors, recipients)
    seconds, cpu = time.perf_counter() - started, time.process_time() - used
    recall = f"recall {found['recall'].min():.2f} to {found['recall'].max():.2f}"
    print(f"{options.donors} x {options.recipients}, {types[0]:,} and {types[1]:,} types a text, {recall}")
    print(f"five measures of every pair: {seconds:.2f} s ({cpu:.2f} s of CPU)")


if __name__ == "__main__":
    main()
