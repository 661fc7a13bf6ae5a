"""Each message reaches a broker exactly once, wherever connections break."""

from __future__ import annotations

import logging
import zlib
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.watch.brokers import CUTS, PUBLISH, PUBREL, Broker, Cut, Quality

pytest.importorskip("paho.mqtt")
from tracker.watch import broker as watch_broker
from tracker.watch.broker import Publisher

WITHIN_S = 30.0
DUPLICATE = 8
"""The bit of a PUBLISH that may have come before."""


@contextmanager
def running(*, early: bool = True, quality: Quality = "exactly once") -> Iterator[Broker]:
    with closing(Broker(early=early, quality=quality)) as broker:
        yield broker


class Notes:
    """A memory that outlasts publishers."""

    def __init__(self) -> None:
        self.released: set[int] = set()

    def is_released(self, number: int) -> bool:
        return number in self.released

    def mark_released(self, number: int) -> None:
        self.released.add(number)


def publisher_of(broker: Broker, notes: Notes | None = None) -> Publisher:
    return Publisher(f"mqtt://127.0.0.1:{broker.port}/house/gate", "gate1", notes)


def number_of(text: str) -> int:
    return zlib.crc32(text.encode())


def hand_over(publisher: Publisher, text: str, *, within_s: float = WITHIN_S, most: int = 20) -> int:
    """Try until it is taken; how often that failed."""
    for failures in range(most):
        try:
            publisher.publish(number_of(text), text, password=None, within_s=within_s)
        except OSError:
            continue
        return failures
    raise AssertionError(f"not taken in {most} tries")


@pytest.mark.parametrize("early", [True, False])
@pytest.mark.parametrize("cut", CUTS)
def test_a_message_arrives_once_wherever_its_connection_breaks(cut: Cut, early: bool) -> None:
    """It was published anew after a lost acknowledgement, by a client that the broker did not know."""
    with running(early=early) as broker:
        publisher = publisher_of(broker)
        hand_over(publisher, "one")
        broker.cuts = [cut]
        assert hand_over(publisher, "two") == 1
        hand_over(publisher, "three")
        assert broker.delivered == ["one", "two", "three"]
        assert broker.sessions == {"gate1": {}}


@pytest.mark.parametrize("early", [True, False])
@given(cuts=st.lists(st.sampled_from([None, *CUTS]), max_size=12))
def test_messages_arrive_once_and_in_order_whatever_breaks(early: bool, cuts: list[Cut | None]) -> None:
    with running(early=early) as broker:
        publisher = publisher_of(broker)
        hand_over(publisher, "begin")
        broker.cuts = list(cuts)
        texts = [str(number) for number in range(4)]
        for text in texts:
            hand_over(publisher, text)
        assert broker.delivered == ["begin", *texts]


def test_what_is_gone_on_with_is_marked_and_released_messages_are_not_sent_again() -> None:
    with running() as broker:
        publisher = publisher_of(broker)
        broker.cuts = [None, (PUBLISH, True), (PUBREL, True)]
        assert hand_over(publisher, "one") == 1
        sent = [packet for packet in broker.asked if packet[0] in (PUBLISH, PUBREL)]
        assert sent == [(PUBLISH, 4), (PUBLISH, 4 | DUPLICATE), (PUBREL, 2), (PUBREL, 2)]


@pytest.mark.parametrize("early", [True, False])
@given(
    cuts=st.lists(st.sampled_from([None, *CUTS]), max_size=12),
    ends=st.sets(st.integers(0, 15)),
)
def test_messages_arrive_once_whenever_the_program_ends(early: bool, cuts: list[Cut | None], ends: set[int]) -> None:
    """It goes on with the message that a former run had begun, where its notes and the broker's session stand.

    A new run knows nothing of the broker: three cuts before its first word would be taken for one without QoS 2.
    """
    with running(early=early) as broker, patch.object(watch_broker, "UNANSWERED", 100):
        notes, tries = Notes(), 0
        hand_over(publisher_of(broker, notes), "begin")
        broker.cuts = list(cuts)
        publisher = publisher_of(broker, notes)
        texts = [str(number) for number in range(4)]
        for text in texts:
            taken = False
            while not taken:
                if tries in ends:
                    publisher = publisher_of(broker, notes)
                tries += 1
                with suppress(OSError):
                    publisher.publish(number_of(text), text, password=None, within_s=WITHIN_S)
                    taken = True
        assert broker.delivered == ["begin", *texts]


@pytest.mark.parametrize("cut", [(PUBLISH, True), (PUBREL, False)])
def test_the_first_message_of_a_new_run_is_not_taken_for_the_last_of_the_former(cut: Cut) -> None:
    """Both have the same number, and the broker still has the other one in the session."""
    with running(early=False) as broker:
        former = publisher_of(broker)
        broker.cuts = [None, None, cut]
        hand_over(former, "one")
        with pytest.raises(OSError, match="lost"):
            former.publish(1, "two", password=None, within_s=WITHIN_S)
        later = publisher_of(broker)
        for text in ("two", "three"):
            hand_over(later, text)
        assert broker.delivered == ["one", "two", "three"]


@pytest.mark.parametrize("cut", CUTS)
def test_a_message_is_not_lost_with_the_brokers_memory(cut: Cut) -> None:
    """Whether it had been given to the listeners nobody knows: rather twice than never."""
    with running(early=False) as broker:
        publisher = publisher_of(broker)
        hand_over(publisher, "one")
        broker.cuts = [cut]
        with pytest.raises(OSError, match="lost"):
            publisher.publish(number_of("two"), "two", password=None, within_s=WITHIN_S)
        broker.sessions.clear()
        hand_over(publisher, "two")
        hand_over(publisher, "three")
        assert broker.delivered == ["one", *["two"] * (2 if cut == (PUBREL, True) else 1), "three"]


@pytest.mark.parametrize(("quality", "within_s"), [("closes", WITHIN_S), ("says nothing", 0.5)])
def test_a_broker_without_qos_2_gets_messages_all_the_same(
    quality: Quality, within_s: float, caplog: pytest.LogCaptureFixture
) -> None:
    with running(quality=quality) as broker:
        publisher = publisher_of(broker)
        for text in ("one", "two"):
            hand_over(publisher, text, within_s=within_s)
        assert broker.delivered == ["one", "two"]
    assert caplog.messages == [
        f"alert mqtt://127.0.0.1:{broker.port}/house/gate: the broker does not take QoS 2, so an event may arrive twice"
    ]


def test_a_broker_that_acknowledges_but_once_is_told_of_once(caplog: pytest.LogCaptureFixture) -> None:
    with running(quality="acknowledges once") as broker, caplog.at_level(logging.WARNING):
        publisher = publisher_of(broker)
        for text in ("one", "two"):
            hand_over(publisher, text)
        assert broker.delivered == ["one", "two"]
    assert len(caplog.messages) == 1


def test_a_publisher_without_a_name_leaves_no_session() -> None:
    with running() as broker:
        Publisher(f"mqtt://127.0.0.1:{broker.port}/house").publish(0, "one", password=None, within_s=WITHIN_S)
        assert broker.delivered == ["one"]
        assert broker.sessions == {}
