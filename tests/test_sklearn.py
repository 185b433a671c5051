"""The head among scikit-learn's estimators."""

import pickle
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import make_blobs
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import soft_labels
from soft_labels.sklearn import SoftLabelClassifier


def quick(**settings: Any) -> SoftLabelClassifier:
    return SoftLabelClassifier(**{"hidden_width": 16, "max_epochs": 30, "random_state": 0, **settings})


def shares(items: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features, counts of ten annotators, and the distributions that they were drawn from."""
    generator = np.random.default_rng(seed)
    features = generator.standard_normal((items, 4))
    logits = 2 * features @ np.random.default_rng(9).standard_normal((4, 3))
    true = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return features, np.stack([generator.multinomial(10, row) for row in true]), true


@pytest.mark.slow
@parametrize_with_checks([SoftLabelClassifier(hidden_width=32, max_epochs=60, random_state=0)])  # type: ignore[untyped-decorator]
def test_it_keeps_the_rules_of_estimators(estimator: Any, check: Any) -> None:
    check(estimator)


def test_counts_and_their_shares_train_the_same_head_and_come_near_the_truth() -> None:
    features, counts, true = shares(400)
    of_counts = quick(dropout=0.0, lr=0.01).fit(features, counts)
    of_shares = quick(dropout=0.0, lr=0.01).fit(features, counts / 10)
    np.testing.assert_allclose(of_counts.predict_proba(features), of_shares.predict_proba(features), atol=1e-6)
    new, _, truth = shares(200, seed=1)
    assert np.abs(of_counts.predict_proba(new) - truth).mean() < 0.06 < np.abs(true.mean(axis=0) - truth).mean()


def test_plain_labels_keep_their_names_and_are_told_apart() -> None:
    features, positions = make_blobs(120, centers=3, random_state=0, cluster_std=0.5)
    labels = np.array(["ape", "bee", "cow"])[positions]
    model = quick(lr=0.01).fit(features, labels)
    assert model.classes_.tolist() == ["ape", "bee", "cow"]
    assert model.score(features, labels) > 0.95
    assert model.score(features, labels) >= LogisticRegression().fit(features, labels).score(features, labels) - 0.02


def test_the_score_of_shares_is_the_log_likelihood_of_an_annotation() -> None:
    features, counts, _ = shares(60)
    model = quick(max_epochs=3).fit(features, counts)
    expected = (counts * np.log(model.predict_proba(features))).sum() / counts.sum()
    assert model.score(features, counts) == pytest.approx(expected)
    weights = np.r_[np.ones(30), np.zeros(30)]
    assert model.score(features, counts, weights) == pytest.approx(model.score(features[:30], counts[:30]))


@pytest.mark.slow
def test_it_stands_in_pipelines_and_searches() -> None:
    features, counts, _ = shares(90)
    pipe = make_pipeline(MinMaxScaler(), quick(max_epochs=3, classes=["no", "maybe", "yes"]))
    search = GridSearchCV(pipe, {"softlabelclassifier__lr": [1e-4, 1e-2]}, cv=2).fit(features, counts)
    assert search.best_params_ == {"softlabelclassifier__lr": 1e-2}
    assert set(search.predict(features)) <= {"no", "maybe", "yes"}


def test_a_pickled_copy_and_a_saved_head_predict_the_same(tmp_path: Any) -> None:
    features, counts, _ = shares(60)
    model = quick(max_epochs=3, calibration="temperature").fit(features, counts)
    copy = pickle.loads(pickle.dumps(model))  # noqa: S301 # our own
    np.testing.assert_array_equal(model.predict_proba(features), copy.predict_proba(features))
    head = soft_labels.load(model.head_.save(tmp_path / "head"))
    np.testing.assert_allclose(head.predict(features).distributions, model.predict_proba(features), atol=1e-6)
    assert float(head.network.calibration.state_dict()["temperature"]) != 1


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"target": "sotf"}, "did you mean soft"),
        ({"dropout": 1.0}, "wanted a dropout from 0 to below 1"),
        ({"validation_fraction": 1.0}, "wanted a validation_fraction above 0 and below 1"),
        ({"classes": ["one"]}, "y has 3 columns but there are 1 classes"),
        ({"loss": "rps"}, "defined for ordered classes only"),
    ],
)
def test_a_wrong_parameter_is_named(settings: dict[str, Any], words: str) -> None:
    features, counts, _ = shares(20)
    with pytest.raises(ValueError, match=words):
        quick(**settings).fit(features, counts)


def test_the_random_state_of_torch_is_left_alone() -> None:
    features, counts, _ = shares(20)
    before = torch.random.get_rng_state()
    quick(max_epochs=1).fit(features, counts)
    assert torch.equal(before, torch.random.get_rng_state())
