import math

import pytest
import torch
from torch import nn

from soft_labels.training.heads import MLPHead

WIDTH, HIDDEN, CLASSES = 12, 64, 4


def head(dropout: float = 0.0, seed: int = 0) -> MLPHead:
    return MLPHead(WIDTH, CLASSES, HIDDEN, dropout, seed)


def test_initial_weights_fill_the_bounds_that_torch_uses() -> None:
    wide = MLPHead(100, 50, 400, dropout=0.0, seed=0)
    for layer, fan_in in ((wide.hidden, 100), (wide.output, 400)):
        bound = 1 / math.sqrt(fan_in)
        for values in (layer.weight, layer.bias):
            assert values.abs().max() <= bound
            assert values.abs().max() > 0.9 * bound
        reference = nn.Linear(fan_in, 1_000)
        assert float(layer.weight.detach().std()) == pytest.approx(float(reference.weight.detach().std()), rel=0.03)
        assert float(layer.weight.detach().mean()) == pytest.approx(0, abs=0.03 * bound)


def test_a_head_is_a_function_of_its_seed_alone() -> None:
    torch.manual_seed(1)
    first = head().state_dict()
    torch.manual_seed(2)
    torch.rand(7)
    second = head().state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["hidden.weight"], head(seed=1).hidden.weight)


def test_resetting_gives_the_first_weights_again() -> None:
    module = head(seed=3)
    first = {name: value.clone() for name, value in module.state_dict().items()}
    nn.init.zeros_(module.hidden.weight)
    module.reset_parameters(3)
    assert all(torch.equal(first[name], value) for name, value in module.state_dict().items())


def test_logits_are_those_of_the_same_layers_in_a_row() -> None:
    module = head()
    reference = nn.Sequential(nn.Linear(WIDTH, HIDDEN), nn.GELU(), nn.Linear(HIDDEN, CLASSES))
    reference.load_state_dict(
        {f"{place}.{kind}": getattr(layer, kind) for place, layer in ((0, module.hidden), (2, module.output))
         for kind in ("weight", "bias")}
    )  # fmt: skip
    features = torch.randn(9, WIDTH, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(module(features), reference(features), rtol=0, atol=0)


def test_features_are_standardised_by_statistics_that_travel_with_the_weights() -> None:
    generator = torch.Generator().manual_seed(0)
    features = 5 + 3 * torch.randn(20, WIDTH, generator=generator)
    plain, module = head(), head()
    mean, scale = features.mean(0), features.std(0)
    module.set_feature_statistics(mean, scale)
    torch.testing.assert_close(module(features), plain((features - mean) / scale))
    other = head(seed=1)
    other.load_state_dict(module.state_dict())
    assert torch.equal(other.feature_mean, mean)
    assert torch.equal(other.feature_scale, scale)
    assert torch.equal(other(features), module(features))


def test_statistics_are_not_trained() -> None:
    assert {name for name, _ in head().named_parameters()} == {
        "hidden.weight", "hidden.bias", "output.weight", "output.bias"
    }  # fmt: skip


@pytest.mark.parametrize("dropout", [0.1, 0.5])
def test_a_mask_drops_the_share_and_keeps_the_mean(dropout: float) -> None:
    mask = head(dropout).dropout_mask(5_000, torch.Generator().manual_seed(0))
    assert mask is not None
    assert mask.shape == (5_000, HIDDEN)
    kept = torch.tensor(1 / (1 - dropout))
    assert ((mask == 0) | torch.isclose(mask, kept)).all()
    assert float((mask == 0).float().mean()) == pytest.approx(dropout, abs=0.005)
    assert float(mask.mean()) == pytest.approx(1, abs=0.005)


def test_a_mask_is_a_function_of_its_generator() -> None:
    module = head(0.3)
    first, second, other = (module.dropout_mask(8, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1))
    assert first is not None
    assert second is not None
    assert other is not None
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


def test_nothing_is_drawn_where_nothing_is_dropped() -> None:
    generator = torch.Generator().manual_seed(0)
    before = generator.get_state()
    assert head(0.0).dropout_mask(8, generator) is None
    assert torch.equal(generator.get_state(), before)


def test_a_mask_multiplies_the_hidden_units() -> None:
    module = head()
    features = torch.randn(3, WIDTH, generator=torch.Generator().manual_seed(0))
    assert torch.equal(module(features, torch.zeros(3, HIDDEN)), module.output.bias.expand(3, -1))
    assert torch.equal(module(features, torch.ones(3, HIDDEN)), module(features))
