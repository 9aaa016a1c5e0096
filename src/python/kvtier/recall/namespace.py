"""What a namespace does with sequences."""
from __future__ import annotations


class RecallMixin:
    """Sequences and recall of a namespace."""
