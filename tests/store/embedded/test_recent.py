"""The newest identities in memory: never a wrong answer, and no question that need not be asked."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sentinel.core.duration import DAY, SECOND
from sentinel.store.embedded.recent import Recent, Seen

AT = 20_000 * DAY
SENT = st.one_of(
    st.none(), st.integers(0, 30).map(lambda n: AT + n * SECOND), st.sampled_from([AT - 1, AT, AT + DAY - 1, AT + DAY])
)
STEPS = st.lists(st.tuples(SENT, st.sampled_from("abcdefghij")), max_size=60)


@given(STEPS, st.integers(1, 8))
def test_answers_are_right_and_none_only_for_a_second_in_which_something_was_let_go(steps, generation):
    recent, stored = Recent(generation), []
    for sent, id in steps:
        of = (None if sent is None else sent // DAY, id)
        held = {(None if at is None else at // DAY, name) for at, name in stored[-generation:]}
        older = {at // SECOND for at, _ in stored[:-generation] if at is not None}
        (answer,) = recent.known([Seen(sent, id)])
        if of in held:
            assert answer is True
        if answer is True:
            assert of in {(None if at is None else at // DAY, name) for at, name in stored}
        if answer is None:
            assert sent // SECOND in older
        if answer is False and sent is not None:
            assert (sent, id) not in stored
        if answer is not True:
            recent.learn([Seen(sent, id)])
            stored.append((sent, id))
        assert len(recent) <= 2 * generation


def test_without_a_timestamp_only_memory_is_asked():
    recent = Recent(2)
    for id in "abcdef":
        recent.learn([Seen(None, id)])
    assert recent.known([Seen(None, id) for id in "afz"]) == [False, True, False]


@given(st.integers(0, 3 * DAY // SECOND), st.integers(0, 2 * DAY // SECOND))
def test_a_forgotten_span_is_asked_about_from_its_first_to_its_last_second(start, length):
    recent = Recent()
    first, last = AT + start * SECOND, AT + (start + length) * SECOND
    recent.forget(first, last)
    times = (first, last, (first + last) // 2, first - SECOND, last + SECOND)
    assert recent.known([Seen(sent, "x") for sent in times]) == [None, None, None, False, False]


def test_what_is_not_complete_asks_about_everything_it_does_not_hold():
    recent = Recent()
    recent.complete = False
    recent.learn([Seen(AT, "a")])
    assert recent.known([Seen(AT, "a"), Seen(AT + 9 * DAY, "a"), Seen(None, "b")]) == [True, None, False]


@given(STEPS, st.integers(1, 8))
def test_many_at_once_are_learnt_as_one_after_the_other(steps, generation):
    together, apart = Recent(generation), Recent(generation)
    events = list(dict.fromkeys(Seen(*step) for step in steps))
    together.learn(iter(events))
    for event in events:
        apart.learn([event])
    assert together.known(events) == apart.known(events)
    assert len(together) == len(apart)
