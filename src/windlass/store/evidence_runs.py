"""Which runs evidence about prompts rests on: they are kept, however old."""

from __future__ import annotations

from sqlalchemy import or_, select

from windlass.store.base import Database
from windlass.store.prompt_models import PromptPinModel, PromptUsageModel


def runs_with_evidence(database: Database) -> set[str]:
    """The ids of runs that took part in an experiment or answered a case. Raises StoreError."""
    taken = select(PromptPinModel.run_id).where(PromptPinModel.experiment_id.is_not(None))
    counted = select(PromptUsageModel.run_id).where(
        or_(PromptUsageModel.experiment_id.is_not(None), PromptUsageModel.case_id.is_not(None))
    )
    with database.reading() as connection:
        return {*connection.execute(taken).scalars(), *connection.execute(counted).scalars()}
