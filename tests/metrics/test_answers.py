"""What is held of answers is bounded, and what was asked for last is held longest."""

from services.metrics.answers import Newest


def test_as_many_are_held_as_may_be_and_who_was_asked_for_last_is_held_longest() -> None:
    held: Newest[str] = Newest(2)
    held.keep("a", "1")
    held.keep("b", "2")
    held.get("a")
    held.keep("c", "3")

    assert (held.get("a"), held.get("b"), held.get("c")) == ("1", None, "3")


def test_no_more_bytes_are_held_than_may_be_however_often_an_answer_is_replaced() -> None:
    held: Newest[bytes] = Newest(9, len, 10)
    for _ in range(5):
        held.keep("a", b"1234")
    held.keep("b", b"123456")
    assert (held.get("a"), held.get("b")) == (b"1234", b"123456")

    held.keep("c", b"1")
    assert (held.get("a"), held.get("b"), held.get("c")) == (None, b"123456", b"1")
    held.keep("d", b"too large by itself")
    assert [held.get(key) for key in "bcd"] == [b"123456", b"1", None]
