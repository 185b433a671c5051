"""How one head, or many at once, are trained: objectives, heads, engines."""
