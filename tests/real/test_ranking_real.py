"""Donors for languages outside of a matrix, with what WALS knows of real languages; the gains are made up."""

import numpy as np
import pytest

from lingraft.transfer import rankers
from lingraft.transfer.ranking import RankConfig, rank

DONORS = "eng deu fra rus swh hin ind tur".split()
RECIPIENTS = "quc kek mam hau ibo yor ukr mar".split()


@pytest.fixture(scope="module")
def answers(tmp_path_factory, shared_data):
    """Recipient -> answer, from a matrix in which a donor of the recipient's own genus helps by one more."""
    folder = tmp_path_factory.mktemp("rank")
    generator = np.random.default_rng(0)
    gain = {
        (d, r): generator.normal() / 10 + ((d, r) in (("rus", "ukr"), ("hin", "mar")))
        for d in DONORS
        for r in RECIPIENTS
    }
    lines = [f"{donor};{recipient};{np.exp(3 + value)};{np.exp(3)}" for (donor, recipient), value in gain.items()]
    (folder / "published.csv").write_text("donor;recipient;zero-shot;after\n" + "\n".join(lines))
    before, rankers.TREES = rankers.TREES, 10
    config = RankConfig(
        matrix=folder / "published.csv",
        typology=[shared_data / "typology" / "wals"],
        recipients=["tzo", "Polish", "xqz"],
        draws=2,
    )
    manifest = rank(config, folder / "out", quiet=True)
    rankers.TREES = before
    return {answer["recipient"]: answer for answer in manifest["answers"]}


def test_a_language_outside_the_matrix_is_placed_by_what_is_known_of_it(answers):
    assert list(answers) == ["tzo", "pol", "xqz"]
    reasons = {row["donor"]: row["reasons"] for row in answers["pol"]["rows"]}
    assert "same genus" in reasons["rus"]
    assert "same family" in reasons["hin"]
    assert "same" not in reasons["ind"]
    assert all("km away" in reason and "log perplexity on 8 recipients" in reason for reason in reasons.values())


def test_a_language_that_nobody_knows_is_answered_from_what_donors_did_for_others(answers):
    assert answers["xqz"]["method"] == "donor effect"
    assert answers["xqz"]["notes"] == ["no language 'xqz'.", "no typology of xqz is known"]
    assert len(answers["xqz"]["rows"]) == len(DONORS)
