"""Post-hoc steps on the logits of a trained head: fitted on validation items, each a row of one table."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from scipy.optimize import brentq
from torch import Tensor, nn

from soft_labels.data.batches import Observed
from soft_labels.errors import ConfigError
from soft_labels.training.objectives import known

_LOG_TEMPERATURES = (-5.0, 5.0)  # e^-5 sharpens and e^5 flattens any distribution as far as anyone can read


class Calibration(nn.Module, ABC):
    """Logits in, logits out; what it learns is in its buffers, so that it travels with a checkpoint."""

    @abstractmethod
    def fit(self, logits: Tensor, observed: Observed) -> None:
        """Learn from validation items.

        Args:
            logits: ``[N, C]`` of the head.
            observed: What was observed of the same items.
        """

    @abstractmethod
    def forward(self, logits: Tensor) -> Tensor:
        """Calibrated logits ``[..., C]`` of logits ``[..., C]``."""


class Uncalibrated(Calibration):
    """Leaves logits as they are."""

    def fit(self, logits: Tensor, observed: Observed) -> None:
        """Learn nothing."""

    def forward(self, logits: Tensor) -> Tensor:
        """The same logits."""
        return logits


class Temperature(Calibration):
    """Divides logits by the temperature that gives the lowest cross-entropy.

    Args:
        to_majority: Fit to the majority class of each item instead of its annotation distribution.

    Source: Guo et al. (2017), section 4.2, who fit to one label an item.
    """

    temperature: Tensor

    def __init__(self, to_majority: bool = False) -> None:
        super().__init__()
        self.to_majority = to_majority
        self.register_buffer("temperature", torch.ones(()))

    def fit(self, logits: Tensor, observed: Observed) -> None:
        """Find the temperature.

        Raises:
            ConfigError: The logits are not finite.
        """
        precise = logits.detach().double().cpu()
        if not torch.isfinite(precise).all():
            raise ConfigError("wanted finite logits to fit a temperature to, got others: the head is broken")
        dist = observed.label_dist.double().cpu()
        if self.to_majority:
            dist = nn.functional.one_hot(observed.majority_label.cpu(), precise.shape[-1]).double()

        def slope(log_temperature: float) -> float:
            """By the inverse temperature, in which the cross-entropy is convex, with the other sign."""
            pred_dist = (precise * math.exp(-log_temperature)).softmax(-1)
            return float(((dist - pred_dist) * precise).sum(-1).mean())

        low, high = _LOG_TEMPERATURES
        ends = [low] if slope(low) >= 0 else [high] if slope(high) <= 0 else []  # none is sharp or flat enough
        # A root is found to the last bits, a minimum to half of them, and then machines differ.
        self.temperature.fill_(math.exp(ends[0] if ends else brentq(slope, low, high, xtol=1e-14)))

    def forward(self, logits: Tensor) -> Tensor:
        """Logits over the temperature."""
        return logits / self.temperature.to(logits.dtype)


CALIBRATIONS: dict[str, Callable[[], Calibration]] = {
    "none": Uncalibrated,
    "temperature": Temperature,
    "temperature_majority": lambda: Temperature(to_majority=True),
}


def make_calibration(name: str) -> Calibration:
    """A new calibration of a name.

    Args:
        name: A row of :data:`CALIBRATIONS`.

    Raises:
        ConfigError: There is no such row.
    """
    return CALIBRATIONS[known("calibration", name, CALIBRATIONS)]()


def calibrated(name: str, val_logits: Tensor, val: Observed, logits: Tensor) -> Tensor:
    """Logits after a calibration that was fitted on validation items.

    Args:
        name: A row of :data:`CALIBRATIONS`.
        val_logits: ``[N, C]`` of the head on the validation items.
        val: What was observed of these.
        logits: ``[M, C]`` of the items to calibrate.
    """
    calibration = make_calibration(name)
    calibration.fit(val_logits, val)
    with torch.inference_mode():
        answer: Tensor = calibration(logits)
    return answer
