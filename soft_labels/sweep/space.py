"""What a search may change: Optuna's distributions by the keys of ``fit``, checked once by the parser of ``fit``."""

import itertools
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from soft_labels.errors import SweepError, did_you_mean
from soft_labels.training.spec import CONFIG_KEYS

Choice = str | int | float | bool | None
Space = Mapping[str, BaseDistribution]
# Values of the keys of the data, in the order of the keys; trials that share them share a data module.
DataChoice = tuple[tuple[str, Choice], ...]
# Gives the values of some keys as `fit` would understand them.
Reader = Callable[[Mapping[str, Choice]], Mapping[str, Any]]

FIELDS = {key: field for field, key in CONFIG_KEYS.items()}
_BY_SHORT = {key.replace(".init_args", ""): field for key, field in FIELDS.items()}
_KINDS: dict[str, Callable[..., BaseDistribution]] = {
    "categorical": CategoricalDistribution,
    "int": IntDistribution,
    "float": FloatDistribution,
}
_FEATURES = tuple(f"data.init_args.{name}" for name in ("encoder", "pair_features", "pair_separator"))
_REASONS = {
    "model.target": "targets are what is compared; give each an arm of its own with --arms",
    "model.head": "each kind of head reads other settings; give each an arm of its own with --arms",
    "seed_everything": "the seed with the lowest validation loss is luck; repeat the best configuration with many",
}
_OTHER_DATA = (
    "it would change which items, labels or splits validation losses are compared on, or changes no result; "
    "run one sweep for each value"
)
_OF_ARMS = [key for key in FIELDS if key != "seed_everything"]
_SEARCHED = [*(key for key in FIELDS if key not in _REASONS), *_FEATURES]
_OTHER = f"it is no part of a run's record; a sweep can change {', '.join(_SEARCHED)}"


def read_space(forms: Mapping[str, Mapping[str, Any]], known: Iterable[str], read: Reader) -> Space:
    """The distributions that a search space stands for.

    Args:
        forms: By key of ``fit``, one of ``{categorical: [...]}``, ``{int: [low, high]}`` and ``{float: [low, high]}``;
            the latter two take ``log`` and ``step`` as well.
        known: Every key of ``fit``, in full.
        read: Called with one value for each key.

    Raises:
        SweepError: The space is empty, a key is unknown or must not be searched, or a value does not fit its key.
    """
    if not forms:
        raise SweepError("wanted a search space of at least one key, got none; see configs/sweep for examples")
    full = _by_short(known)
    keys = [_searched_key(key, full) for key in forms]
    values = {key: _values(key, form) for key, form in zip(keys, forms.values(), strict=True)}
    read_values = _read_values(values, read)
    return {key: _distribution(key, form, read_values[key]) for key, form in zip(keys, forms.values(), strict=True)}


def overlay_keys(values: Mapping[str, Choice], known: Iterable[str]) -> dict[str, Choice]:
    """Settings of a head by their keys in full.

    Args:
        values: By key of ``fit``, with or without ``init_args``.
        known: Every key of ``fit``, in full.

    Raises:
        SweepError: A key is unknown, or is no setting that a run's record has.
    """
    full = _by_short(known)
    found = {_known_key(key, full): value for key, value in values.items()}
    other = sorted(set(found) - (FIELDS.keys() - {"seed_everything"}))
    if other:
        raise SweepError(f"wanted settings of the head, got {', '.join(other)}; an arm can set {', '.join(_OF_ARMS)}")
    return found


def _by_short(known: Iterable[str]) -> dict[str, str]:
    """Keys in full by how people write them."""
    return {name.replace(".init_args", ""): name for name in known}


def _known_key(key: str, full: Mapping[str, str]) -> str:
    """The key in full, as it stands in the configuration of a run."""
    short = key.replace(".init_args", "")
    if short not in full:
        raise SweepError(f"{key} is no key of fit{did_you_mean(short, full)}")
    return full[short]


def _searched_key(key: str, full: Mapping[str, str]) -> str:
    """The same for a key that may be searched."""
    name = _known_key(key, full)
    if name in _REASONS or not (name in FIELDS or name.startswith(_FEATURES)):
        reason = _REASONS.get(name, _OTHER_DATA if name.startswith("data.") else _OTHER)
        raise SweepError(f"the search space must not name {key}: {reason}")
    return name


def _values(key: str, form: Mapping[str, Any]) -> list[Choice]:
    """The choices, or the two bounds."""
    kinds = [kind for kind in _KINDS if kind in form]
    values = form[kinds[0]] if len(kinds) == 1 else None
    if not isinstance(values, list) or not all(isinstance(value, Choice) for value in values):
        raise SweepError(
            f"{key}: wanted {{categorical: [...]}}, {{int: [low, high]}} or {{float: [low, high]}} of plain values, "
            f"got {dict(form)}"
        )
    if not values or (kinds[0] != "categorical" and len(values) != 2):
        raise SweepError(f"{key}: wanted {'two bounds' if values else 'at least one value'}, got {values}")
    return values


def _read_values(values: Mapping[str, list[Choice]], read: Reader) -> dict[str, list[Any]]:
    """The values as ``fit`` understands them; one reading takes a value of every key."""
    longest = max(map(len, values.values()))
    rows = [read({key: each[min(index, len(each) - 1)] for key, each in values.items()}) for index in range(longest)]
    return {key: [row[key] for row in rows[: len(each)]] for key, each in values.items()}


def _distribution(key: str, form: Mapping[str, Any], values: list[Any]) -> BaseDistribution:
    """Optuna's distribution."""
    (kind,) = _KINDS.keys() & form.keys()
    others = {name: value for name, value in form.items() if name != kind}
    try:
        return _KINDS[kind](values, **others) if kind == "categorical" else _KINDS[kind](*values, **others)
    except (TypeError, ValueError) as error:
        raise SweepError(f"{key}: {dict(form)} is no search space: {error}") from error


def grid_points(space: Space) -> list[dict[str, Choice]]:
    """Every point of a space of categories; the last key changes fastest.

    Raises:
        SweepError: A key has a range instead of categories, or a value twice.
    """
    choices = []
    for key, distribution in space.items():
        if not isinstance(distribution, CategoricalDistribution):
            raise SweepError(f"{key}: a grid wants {{categorical: [...]}}, got a range; list the values or sample them")
        if len(set(distribution.choices)) < len(distribution.choices):
            raise SweepError(f"{key}: a grid wants every value once, got {list(distribution.choices)}")
        choices.append(distribution.choices)
    return [dict(zip(space, point, strict=True)) for point in itertools.product(*choices)]


def spec_fields(values: Mapping[str, Choice]) -> dict[str, Any]:
    """The values that are fields of a :class:`~soft_labels.training.spec.RunSpec`, by field."""
    return {FIELDS[key]: value for key, value in values.items() if key in FIELDS}


def without(forms: Mapping[str, Mapping[str, Any]], others: Collection[str]) -> dict[str, Mapping[str, Any]]:
    """The keys of a search space but for some fields.

    Args:
        forms: By key, as they are written.
        others: Fields of a :class:`~soft_labels.training.spec.RunSpec` to leave out.

    Example:
        >>> without({"data.batch_size": {"categorical": [8]}, "model.weight_decay": {"float": [0, 1]}}, {"batch_size"})
        {'model.weight_decay': {'float': [0, 1]}}
    """
    return {key: form for key, form in forms.items() if _BY_SHORT.get(key.replace(".init_args", "")) not in others}


def data_choice(values: Mapping[str, Choice]) -> DataChoice:
    """The values that decide the data module."""
    return tuple(sorted((key, value) for key, value in values.items() if key not in FIELDS))
