"""Train classifiers on annotation distributions."""
