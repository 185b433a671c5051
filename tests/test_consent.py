import pytest

from soft_labels.consent import trusted_packages
from soft_labels.errors import ConfigError


def test_packages_stand_between_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOFT_LABELS_TRUST", " one, two ,")
    assert trusted_packages() == ["one", "two"]
    monkeypatch.delenv("SOFT_LABELS_TRUST")
    assert trusted_packages() == []


def test_what_names_no_package_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOFT_LABELS_TRUST", "one,*")
    with pytest.raises(ConfigError, match="wants names of packages with commas between them, got '\\*'"):
        trusted_packages()
