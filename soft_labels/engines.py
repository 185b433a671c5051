"""The engines by the names that commands take."""

from typing import Literal

from lightning.fabric.utilities.exceptions import MisconfigurationException

from soft_labels.errors import ConfigError
from soft_labels.lightning_engine import LightningEngine
from soft_labels.population import PopulationEngine
from soft_labels.runs import Engine

EngineName = Literal["population", "lightning"]


def make_engine(name: EngineName, accelerator: str = "auto", share: bool = True) -> Engine:
    """The engine of a name.

    Args:
        name: ``population`` trains many heads at once, ``lightning`` one ordinary fit after another.
        accelerator: Lightning's name of the device.
        share: Whether runs of a population share a head where they can.

    Raises:
        ConfigError: There is no such device.
    """
    if name == "lightning":
        return LightningEngine(accelerator)
    try:
        return PopulationEngine(accelerator=accelerator, share=share)
    except (RuntimeError, ValueError, MisconfigurationException) as error:
        raise ConfigError(f"trainer.accelerator {accelerator} cannot be used here: {error}") from error
