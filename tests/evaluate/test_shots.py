import pytest

from lingraft.errors import LingraftError


@pytest.fixture(scope="module")
def samplers():
    from lingraft.evaluate.tasks import utils

    return utils


def docs(n):
    return [{"index": index, "stem": f"s{index}"} for index in range(n)]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_no_item_is_its_own_shot(samplers, seed):
    pool = docs(5)
    sampler = samplers.LeaveOneOut(pool).set_rnd(seed)
    for doc in pool:
        drawn = sampler.sample(4, eval_doc=doc)
        assert sorted(shot["index"] for shot in drawn) == [index for index in range(5) if index != doc["index"]]


def test_nor_another_item_with_the_same_stem(samplers):
    pool = [*docs(6), {"index": 6, "stem": "s0"}]
    sampler = samplers.LeaveOneOut(pool).set_rnd(0)
    for index in (0, 6):
        assert {shot["stem"] for shot in sampler.sample(5, eval_doc=pool[index])} == {f"s{i}" for i in range(1, 6)}


def test_a_draw_depends_on_seed_and_item_alone(samplers):
    pool = docs(50)
    first, second = samplers.LeaveOneOut(pool).set_rnd(7), samplers.LeaveOneOut(pool).set_rnd(7)
    forward = [first.sample(4, eval_doc=doc) for doc in pool]
    backward = [second.sample(4, eval_doc=doc) for doc in reversed(pool)]
    assert forward == backward[::-1]
    assert forward != [samplers.LeaveOneOut(pool).set_rnd(8).sample(4, eval_doc=doc) for doc in pool]


def test_lm_evals_own_sampler_lacks_that(samplers):
    """Why the samplers here exist: an item's shots there depend on the items before it."""
    from lm_eval.api.samplers import ContextSampler

    pool = docs(50)
    one, two = ContextSampler(pool).set_rnd(7), ContextSampler(pool).set_rnd(7)
    two.sample(4, eval_doc=pool[0])
    assert one.sample(4, eval_doc=pool[1]) != two.sample(4, eval_doc=pool[1])


def test_one_draw_is_the_same_for_all(samplers):
    pool = docs(9)
    sampler = samplers.OneDraw(pool).set_rnd(1)
    assert sampler.sample(4, eval_doc=pool[0]) == sampler.sample(4, eval_doc=pool[8])


def test_too_few_items_for_the_shots(samplers):
    pool = docs(4)
    with pytest.raises(LingraftError, match="4 shots asked, 3 items to draw from"):
        samplers.LeaveOneOut(pool).sample(4, eval_doc=pool[0])
