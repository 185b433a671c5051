"""The experiment: search, choose, repeat, judge; its index says which runs stand for what."""
