"""Put a text into a file: in place of what is there, or after it."""

from __future__ import annotations

from windlass.step import StepContext
from windlass.steps.documents import DocumentState, DocumentStep, FileWork, work_of


class SaveFileStep(DocumentStep):
    """Saves the text that an earlier step put into the file's work."""

    name = "save_file"
    title = "Save to File"
    description = "Save the text"
    default_prompt = "Save the text."
    #: True: the text goes after the file's present content.
    append = False

    async def execute(self, ctx: StepContext[DocumentState]) -> str | None:
        """One write; a text that is there already changes nothing."""
        return await self.save(ctx, work_of(ctx))

    async def save(self, ctx: StepContext[DocumentState], file: FileWork) -> str:
        """Write ``file.text``, and say what that did."""
        assert file.text is not None
        ctx.effects.log.file_name(ctx.path, file.path)
        text = file.text
        if self.append:
            text = appended(await ctx.read(file.path), text)
        if text == file.present and not self.append:
            file.change = "unchanged"
            return f"{file.path} needs no change."
        await ctx.write({file.path: text})
        file.change = "created" if file.present is None else "modified"
        return f"{file.change.capitalize()} {file.path} ({len(text.encode()):,} bytes)."


class AppendFileStep(SaveFileStep):
    """Saves the text after what the file holds."""

    name = "append_file"
    append = True


def appended(present: str | None, text: str) -> str:
    """``text`` after ``present``, on a line of its own."""
    if not present:
        return text
    return present + ("" if present.endswith("\n") else "\n") + text
