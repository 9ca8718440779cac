"""What the demo makes of answers: which attack was stopped, which customer was wronged."""

from __future__ import annotations

import pytest

from sentinel.demo.attacks import Attack
from sentinel.demo.customers import Crowd
from sentinel.demo.reasons import Reason, tally
from sentinel.demo.visitor import Answer


def answer(
    sent: float, status: int = 401, code: str = "wrong_password", path: str = "/login", took: float = 0.01
) -> Answer:
    return Answer("POST", path, "198.51.100.23", "a@example.com", sent, sent + took, status, code, "")


def refused(sent: float, code: str = "blocked", took: float = 0.01) -> Answer:
    return answer(sent, 403, code, took=took)


def attack(*tries: Answer, probes: tuple[Answer, ...] = ()) -> Attack:
    return Attack("Test", "", "opened", lambda attack, shop: None, list(tries), list(probes))


@pytest.mark.parametrize("code", ["blocked", "challenged", "redirected"])
def test_an_attack_is_stopped_once_every_try_after_the_first_refusal_is_refused(code):
    assert attack(answer(0), answer(1), refused(2, code), refused(3, code)).failure is None


def test_an_attack_that_nobody_refuses_is_not_stopped():
    assert attack(answer(0), answer(1)).failure == "none of its 2 tries was refused"


def test_a_wrong_password_and_a_missing_page_are_the_shops_own_answers_and_no_refusal():
    assert attack(answer(0), answer(1, 404, "not_found"), answer(2, 403, "")).failure is not None


def test_one_try_that_goes_through_after_the_first_refusal_is_a_failure():
    found = attack(answer(0), refused(1), answer(2, 200, ""), refused(3)).failure
    assert found == "1 of 2 tries after the first refusal went through"


def test_a_try_that_was_under_way_at_the_first_refusal_is_not_held_against_it():
    under_way = answer(1, took=3)
    assert attack(under_way, refused(5), probes=(refused(1.5),)).failure is None


def test_a_refused_probe_alone_proves_nothing():
    assert attack(answer(0), probes=(refused(1),)).failure == "0 of 0 tries after the first refusal went through"


def test_a_shop_that_does_not_answer_has_not_stopped_anybody():
    assert attack(answer(0), refused(1), answer(2, 0, "ConnectionRefusedError")).failure == "the shop did not answer"
    assert attack().failure == "the shop did not answer"


def test_the_time_runs_from_sending_the_deciding_try_to_the_arrival_of_the_first_refusal():
    found = Reason({}, {}, answer(2.0))
    assert found.milliseconds(refused(2.03, took=0.015)) == pytest.approx(45)
    assert Reason({}, {}, None).milliseconds(refused(2)) is None


def test_customers_are_wronged_by_refusals_faults_and_silence_and_not_by_their_own_typos():
    crowd = Crowd("http://127.0.0.1:9", [])
    wronged = [
        refused(1),
        answer(2, 500, "", "/cart"),
        answer(3, 0, "TimeoutError"),
        answer(4, 401, "login_needed", "/checkout"),
    ]
    crowd._answers += [answer(0), answer(0, 200, ""), *wronged]
    assert crowd.troubled() == wronged


def test_a_crowd_that_never_came_can_be_sent_home():
    crowd = Crowd("http://127.0.0.1:9")
    crowd.stop()
    assert crowd.answers() == []


def test_a_tally_stands_beside_its_threshold_and_alone_where_there_is_none():
    finding = {"tally": {"km": 10252.8, "seconds": 7.5}, "threshold": {"km": "> 900 km/h"}}
    assert tally(finding) == "km 10252.8 (> 900 km/h), seconds 7.5"
    assert tally({"tally": {"count": 10}, "threshold": {"count": ">= 10"}}) == "count >= 10"
    assert tally({"tally": {"ratio": 0.95}, "threshold": {"ratio": ">= 0.9"}}) == "ratio 0.95 (>= 0.9)"
