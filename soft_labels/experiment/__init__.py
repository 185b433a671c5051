"""The experiment: arms, search, choose, repeat, judge; its index says which runs stand for what."""
