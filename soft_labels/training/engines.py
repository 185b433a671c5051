"""The engines by the names that commands take."""

from typing import Literal, get_args

from soft_labels.training.lightning_engine import LightningEngine
from soft_labels.training.objectives import known
from soft_labels.training.population import PopulationEngine
from soft_labels.training.spec import Engine

EngineName = Literal["population", "lightning"]


def make_engine(name: EngineName, accelerator: str = "auto", share: bool = True) -> Engine:
    """The engine of a name.

    Args:
        name: ``population`` trains many heads at once, ``lightning`` one ordinary fit after another.
        accelerator: Lightning's name of the device.
        share: Whether runs of a population share a head where they can.

    Raises:
        ConfigError: There is no such engine or device.
    """
    known("training engine", name, get_args(EngineName))
    if name == "lightning":
        return LightningEngine(accelerator)
    return PopulationEngine(accelerator=accelerator, share=share)
