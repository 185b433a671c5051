"""Any table of annotations: what a file holds, how its rows are laid out, and what its labels are.

``encoding`` and ``delimited`` make text of bytes and rows of text, ``objects`` does it for JSON, and ``source`` for any
file or folder; ``names`` finds a column or a nested name in them. ``settings`` says which column means what, ``rows``
takes those columns, ``layouts`` makes one row an annotation of every form, ``classes`` orders the labels, and ``read``
puts it all together. ``pictures`` are those in cells, ``hub`` fetches tables from the Hugging Face Hub.
``profile``, ``presets`` and ``guess`` look at a file that nobody has described yet.
"""
