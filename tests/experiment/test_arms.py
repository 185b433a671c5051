from typing import Any

import pytest

from soft_labels.errors import ConfigError
from soft_labels.experiment.arms import DEFAULT_ARMS, DEFAULT_BASELINE, Arm, Forms, read_arms
from soft_labels.experiment.index import ArmForm

FORMS: dict[str, dict[str, Any]] = {
    "soft": {"model.target": "soft"},
    "hard_t": {"from": "hard", "calibration": "temperature"},
    "hard": {"model.target": "hard", "space": {"model.dropout": {"float": [0, 0.5]}}},
    "soft_t": {"from": "soft", "calibration": "temperature_majority"},
}


def test_the_papers_pair_needs_no_configuration() -> None:
    arms = read_arms(DEFAULT_ARMS, DEFAULT_BASELINE)
    assert [(arm.name, dict(arm.overlay)) for arm in arms.every] == [
        ("soft", {"model.target": "soft"}), ("hard", {"model.target": "hard"}),
    ]  # fmt: skip
    assert (arms.names, arms.compared) == (("hard", "soft"), ("soft",))


def test_each_form_becomes_an_arm_in_its_order() -> None:
    arms = read_arms(FORMS, "hard")
    assert arms.every == (
        Arm("soft", {"model.target": "soft"}),
        Arm("hard_t", derived_from="hard", calibration="temperature"),
        Arm("hard", {"model.target": "hard"}, {"model.dropout": {"float": [0, 0.5]}}),
        Arm("soft_t", derived_from="soft", calibration="temperature_majority"),
    )
    assert arms["soft_t"] == arms.every[3]


def test_derived_arms_train_nothing_wherever_they_stand() -> None:
    assert [arm.name for arm in read_arms(FORMS, "hard").trained] == ["soft", "hard"]


@pytest.mark.parametrize(
    ("baseline", "names"),
    [("hard", ("hard", "soft", "hard_t", "soft_t")), ("soft_t", ("soft_t", "soft", "hard_t", "hard"))],
)
def test_the_baseline_comes_first_and_the_others_are_compared_with_it(baseline: str, names: tuple[str, ...]) -> None:
    arms = read_arms(FORMS, baseline)
    assert (arms.names, arms.compared) == (names, names[1:])


@pytest.mark.parametrize(
    ("names", "kept", "baseline"),
    [
        (["hard", "soft"], ["soft", "hard"], "hard"),
        (["soft_t", "soft"], ["soft", "soft_t"], "soft"),
        (["hard"], ["hard"], "hard"),
    ],
)
def test_some_arms_keep_their_order_and_the_baseline_where_it_is_among_them(
    names: list[str], kept: list[str], baseline: str
) -> None:
    some = read_arms(FORMS, "hard").only(names)
    assert [arm.name for arm in some.every] == kept
    assert some.baseline == baseline


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], "wanted each arm once, got none"),
        (["soft", "soft"], "wanted each arm once, got soft, soft"),
        (["sof"], "wanted an arm of soft, hard_t, hard, soft_t, got sof; did you mean soft?"),
        ([""], "wanted an arm of soft, hard_t, hard, soft_t, got "),
        (["hard_t", "soft"], r"wanted a from \(arm hard_t\) that trains its own heads, one of soft, got hard"),
    ],
)
def test_a_choice_that_cannot_be_made_is_refused_in_words(names: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_arms(FORMS, "hard").only(names)


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ({"from": "soft"}, "arm odd: wanted from with calibration, .* got {'from': 'soft'}"),
        ({"from": "soft", "calibration": "none"}, "arm odd: wanted from with calibration"),
        ({"from": "soft", "calibration": "temperature", "model.lr": 1}, "arm odd: .*; nothing is trained again"),
        ({"from": "soft", "calibration": "temperature", "space": {"model.lr": {}}}, "arm odd: wanted from with"),
        ({"calibration": "temperature"}, "arm odd: .* another arm; write {from: ARM, calibration: temperature}"),
        ({"from": "soft", "calibration": "temprature"}, "wanted a calibration of none, .* did you mean temperature"),
        ({"from": "soft", "calibration": ["temperature"]}, "wanted a calibration of none, "),
        ({"from": "medium", "calibration": "temperature"}, r"from \(arm odd\) .*, one of soft, got medium"),
        ({"from": "odd", "calibration": "temperature"}, r"from \(arm odd\) .*, one of soft, got odd"),
        ({"from": ["soft"], "calibration": "temperature"}, r"from \(arm odd\) .*, one of soft, got \['soft'\]"),
        ({"from": "soft", "ensemble": "yes"}, "arm odd: wanted ensemble: true or false, got yes"),
        ({"from": "soft", "ensemble": False}, "arm odd: wanted from with calibration, ensemble or both"),
        ({"from": "soft", "ensemble": True, "model.lr": 1}, "arm odd: wanted from with calibration, ensemble or both"),
        (
            {"ensemble": True},
            "arm odd: an ensemble is made of the seeds of another arm; write {from: ARM, ensemble: tru",
        ),
        ({"space": ["model.lr"]}, "arm odd: wanted space: .* got .'model.lr'"),
        ({"space": {"model.lr": 3}}, "arm odd: wanted space: .* got {'model.lr': 3}"),
    ],
)
def test_a_form_that_makes_no_head_is_refused_in_words(form: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_arms({"soft": {"model.target": "soft"}, "odd": form}, "soft")


def test_an_ensemble_is_made_of_the_seeds_of_an_arm_that_has_them() -> None:
    forms: Forms = {
        **DEFAULT_ARMS,
        "both": {"from": "soft", "ensemble": True},
        "both_t": {"from": "soft", "ensemble": True, "calibration": "temperature"},
    }
    arms = read_arms(forms, "hard")
    assert arms["both"] == Arm("both", derived_from="soft", ensemble=True)
    assert arms["both_t"].form == ArmForm({}, "soft", "temperature", ensemble=True)
    assert [arm.name for arm in arms.trained] == ["soft", "hard"]
    with pytest.raises(ConfigError, match="wanted a baseline with a head for each seed, got the ensemble both"):
        read_arms(forms, "both")
    convex = {**DEFAULT_ARMS, "convex": {"model.head": "logistic"}, "one": {"from": "convex", "ensemble": True}}
    with pytest.raises(
        ConfigError, match="wanted an ensemble of an arm that has seeds, got convex, whose head logistic"
    ):
        read_arms(convex, "hard")


def test_no_arm_is_derived_from_a_derived_one() -> None:
    chain = {**FORMS, "twice": {"from": "hard_t", "calibration": "temperature"}}
    with pytest.raises(ConfigError, match=r"from \(arm twice\) that trains its own heads, one of soft, hard, got"):
        read_arms(chain, "hard")


@pytest.mark.parametrize("name", ["", ".soft", "../soft", "a/b", "a\\b", "a b", "a,b", "a\n", "-a"])
def test_a_name_that_cannot_name_a_file_or_be_listed_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="wanted an arm's name that can name a file"):
        read_arms({name: {"model.target": "soft"}}, name)


def test_a_comparison_has_arms_and_a_baseline_among_them() -> None:
    with pytest.raises(ConfigError, match="wanted at least one arm, got none; write arms:"):
        read_arms({}, "hard")
    with pytest.raises(ConfigError, match="wanted a baseline of soft, hard, got haard; did you mean hard"):
        read_arms(DEFAULT_ARMS, "haard")
