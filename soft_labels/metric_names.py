"""What metrics are called where people read them, and which of them are better when they are higher."""

HIGHER_IS_BETTER = ("accuracy", "entropy_corr")
LABELS = {
    "accuracy": "accuracy",
    "kl": "KL to annotators, nats",
    "entropy_corr": "entropy correlation",
    "js": "Jensen-Shannon, nats",
    "tv": "total variation",
    "soft_ce": "soft cross-entropy, nats",
    "brier": "Brier score",
    "entropy_error": "entropy error, nats",
    "wasserstein": "Wasserstein, classes",
    "rps": "ranked probability score",
    "kl_to_true": "KL to generator, nats",
}
