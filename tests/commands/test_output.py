import pytest

from soft_labels.commands.output import switched


@pytest.mark.parametrize("value", ["true", "False", "yes"])
def test_a_switch_keeps_the_value_that_it_was_given(value: str) -> None:
    assert switched(["--json", value]) == ["--json", value]


def test_a_switch_alone_is_true_wherever_it_stands() -> None:
    assert switched(["--seeds", "2", "--yes"]) == ["--seeds", "2", "--yes=true"]
    assert switched(["--json=false"]) == ["--json=false"]
