"""Trained heads that travel: weights, settings and numbers in a folder, and nothing of the training data."""
