"""What trained runs leave: records, predictions, checkpoints, curves."""
