"""Progress of one training over its epochs, for a log that nobody watches."""

from lightning import Callback, LightningModule, Trainer

from soft_labels.progress import Pace


class EpochPace(Callback):
    """A line every so often: epochs, validation loss, and what is left at most, since early stopping may end it."""

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """Begin to count; a run that goes on has some epochs behind it."""
        self._pace = Pace((trainer.max_epochs or 0) - trainer.current_epoch, "epochs at most")

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """Count an epoch; only the first process speaks."""
        if trainer.is_global_zero:
            loss = trainer.callback_metrics.get("val/loss")
            self._pace.advance(1, "" if loss is None else f", val/loss {loss.item():.4f}")
