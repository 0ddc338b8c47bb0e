"""Many items, each an ordinary run: side by side, within one budget, stopped and gone on with at will.

::

    from windlass.batch import run_batch

    items = ({"id": str(n), "requirement": text, "tests": {"test_it.py": tests}} for n, (text, tests) in enumerate(cases))
    for result in run_batch(items, "coding", out="results", concurrency=8, budget=5):
        print(result.item_id, result.status, result.error)
"""

from __future__ import annotations

from windlass.batch.api import aresume_batch, arun_batch, resume_batch, run_batch
from windlass.batch.items import Item, items_for_each, read_items
from windlass.batch.progress import Progress
from windlass.batch.work import ItemResult

__all__ = [
    "Item",
    "ItemResult",
    "Progress",
    "aresume_batch",
    "arun_batch",
    "items_for_each",
    "read_items",
    "resume_batch",
    "run_batch",
]
