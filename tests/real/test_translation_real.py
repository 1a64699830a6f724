"""NLLB-Seed and FLORES as they are: pairs that fit, and no training pair in the test."""

from collections import Counter

import pytest

from lingraft.transfer import parallel
from lingraft.transfer.parallel import ParallelText


@pytest.mark.parametrize(
    ("folder", "source", "target"),
    [("bam_Latn-eng_Latn", "eng_Latn", "bam_Latn"), ("eng_Latn-mag_Deva", "eng_Latn", "mag_Deva")],
)
def test_seed_pairs_are_whole_and_apart_from_flores(shared_data, folder, source, target):
    seed, flores = shared_data / "transfer" / "nllb_seed" / folder, shared_data / "transfer" / "flores200_devtest"
    languages = (source[:3], target[:3])
    drops: Counter[str] = Counter()
    training = parallel.read(ParallelText(source=seed / f"{source}.xz", target=seed / f"{target}.xz"), languages, drops)
    test_files = ParallelText(
        **{side: flores / f"{name[:3]}.devtest.gz" for side, name in (("source", source), ("target", target))}
    )
    test = parallel.read(test_files, languages, drops)

    kept = parallel.without_test(training, test, drops)

    assert (len(training), len(test), len(kept)) == (6193, 1012, 6193)
    assert not drops
