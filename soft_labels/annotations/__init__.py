"""Raw annotation files to one record: one file a data set, and one for any table.

Every reader is a plain function that returns :class:`soft_labels.annotations.base.AnnotatedData`, its items
ordered by uid. Import the reader that is needed: this package imports none of them.
"""
