"""What a paid service would be asked, what it was paid, and how both are told."""

import pytest

from soft_labels.encoders.hosted import PendingError, Plan, Text, Usage, tokens_of
from soft_labels.errors import EncoderError

ONE = Text(b"1", "a", ("one",), (3,))
LONG = Text(b"2", "b", ("two", "parts"), (10, 5))


def test_a_plan_counts_every_part_of_every_text() -> None:
    assert tokens_of((ONE, LONG)) == 18
    assert Plan(((ONE, LONG), (ONE,)), "tiktoken", None, None).tokens == 21


@pytest.mark.parametrize(
    ("cost", "ceiling", "too_dear"),
    [(0.2, 0.1, True), (0.1, 0.1, False), (0.1, None, False), (None, 0.1, False), (None, None, False)],
)
def test_a_plan_is_too_dear_only_above_a_ceiling_that_is_known(
    cost: float | None, ceiling: float | None, too_dear: bool
) -> None:
    plan = Plan(((ONE,),), "tiktoken", cost, ceiling)
    assert plan.too_dear is too_dear
    assert ("a run would be refused" in str(plan)) is too_dear


def test_a_plan_is_one_line() -> None:
    assert str(Plan(((ONE, LONG),), "tiktoken", 0.5, 1.0)) == "to send: 18 tokens (tiktoken) in 1 requests, $0.500000"
    assert str(Plan((), "bytes", None, None)).endswith("in 0 requests, price not known (price_per_million_tokens)")


def test_payments_add_up_and_a_known_price_stays_known() -> None:
    both = Usage(1, 100, 7, 0.25) + Usage(2, 50, 0, None)
    assert both == Usage(3, 150, 7, 0.25)
    assert (Usage() + Usage()).cost_usd is None
    known = Usage(1, 1, 0, 0.1) + Usage(1, 1, 0, 0.2)
    assert (known.requests, known.tokens) == (2, 2)
    assert known.cost_usd == pytest.approx(0.3)


def test_a_payment_tells_what_was_lost_only_where_something_was() -> None:
    assert str(Usage(2, 1500, 0, 0.25)) == "2 requests answered, 1,500 tokens, $0.250000"
    assert str(Usage(2, 1500, 40)) == (
        "2 requests answered, 1,500 tokens and up to 40 of answers that were lost, price not known"
    )


def test_what_is_not_answered_yet_is_no_mistake() -> None:
    assert issubclass(PendingError, EncoderError)
    assert PendingError.exit_code == 75
