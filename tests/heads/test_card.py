from typing import Any

import yaml
from huggingface_hub import ModelCard

from soft_labels.heads.card import card_of
from tests.heads.toy_head import toy_head

REPORT: dict[str, Any] = {
    "items": 30, "annotators": 5.0, "kl": 0.3, "kl_low": 0.25, "kl_high": 0.35, "floor": 0.1, "marginal": 0.4,
    "entropy_corr": 0.2, "entropy_corr_low": -0.1, "entropy_corr_high": 0.5, "ceiling_low": 0.6, "ceiling_high": 0.7,
    "worth": None, "worth_reach": "unknown", "accuracy": 0.5, "set_share": 0.91, "set_size": 1.5, "set_level": 0.9,
    "notes": ["one seed: intervals are over items alone"],
}  # fmt: skip


def test_each_number_stands_beside_its_interval_and_its_floor() -> None:
    text = card_of(toy_head(report=REPORT, trained_on={"dataset": "mails", "items": {"train": 70}}).settings, "manners")
    assert "| kl | 0.300 | 0.250 to 0.350 | floor 0.100, class marginal 0.400 |" in text
    assert "| entropy corr | 0.200 | -0.100 to 0.500 | ceiling 0.600 to 0.700 |" in text
    assert "| accuracy | 0.500 |  |" in text
    assert "worth" not in text, "a number that is not known has no row"
    assert "one seed: intervals are over items alone" in text
    assert "mails (70 train items)" in text


def test_the_front_matter_is_what_the_hub_reads() -> None:
    text = card_of(toy_head(report=REPORT).settings, "manners")
    front = yaml.safe_load(text.split("---\n")[1])
    assert front["library_name"] == "soft-labels"
    assert front["pipeline_tag"] == "text-classification"
    card: Any = ModelCard(text)
    results = card.data.eval_results
    assert {result.metric_type: result.metric_value for result in results} == {
        "kl": 0.3, "entropy_corr": 0.2, "accuracy": 0.5,
    }  # fmt: skip


def test_a_head_that_was_not_measured_says_so() -> None:
    text = card_of(toy_head().settings, "manners")
    assert "Not measured." in text
    card: Any = ModelCard(text)
    assert card.data.eval_results is None
