"""Records of an experiment to tables, figures and one page."""
