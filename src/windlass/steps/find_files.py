"""Find out which files a message wants written, and what for."""

from __future__ import annotations

from collections.abc import Sequence

from windlass.errors import StepFailed, UnsafePath
from windlass.prompt import PromptTemplateVariable
from windlass.step import StepContext
from windlass.steps.context import bullets
from windlass.steps.documents import HEAD, HEAD_VARIABLES, DocumentState, DocumentStep, FileWork, head_values
from windlass.vocabulary import FilePurpose, listed_files, with_ending
from windlass.workspace import check_path

#: Most files that one run may find for itself.
MAX_FOUND = 200
#: Names of the workspace that are shown.
_SHOWN = 400

FIND_FILES_PROMPT = (
    HEAD
    + """
# Files that exist
{{listing}}

# Your step: find the files
Say which file or files must be written or changed to do what the person asks{{bound}}. Use a path that the person names;
else choose a short one with an ending that fits. `purpose` says in one sentence what the file must hold. `needs` lists
those files for reference, and no others, whose text must be read to write it.
Answer with one JSON object and nothing else:
{"files": [{"path": "docs/guide.md", "purpose": "...", "needs": []}]}
"""
)


class FindFilesStep(DocumentStep):
    """Asks which files are wanted. ``at_most`` bounds their number, None = :data:`MAX_FOUND`."""

    name = "find_files"
    title = "Find Files"
    description = "Find out which files to write"
    variables: Sequence[PromptTemplateVariable] = (
        *HEAD_VARIABLES,
        PromptTemplateVariable("listing"),
        PromptTemplateVariable("bound"),
    )
    default_prompt = FIND_FILES_PROMPT
    at_most: int | None = None

    def process_response(self, response: str) -> list[FilePurpose]:
        """The files that a reply lists. ValueError when there is none, or one has no usable name."""
        return self.files_in(response)

    def files_in(self, response: str, existing: Sequence[str] = ()) -> list[FilePurpose]:
        """The same, knowing which files exist."""
        files = listed_files(response, existing)
        if not files:
            raise ValueError(
                "no files found: running text is not read for names. Answer with one JSON object and nothing else, "
                '{"files": [{"path": "...", "purpose": "..."}]}, or with a list, one path a line.'
            )
        bound = self.at_most or MAX_FOUND
        if len(files) > bound:
            raise ValueError(f"{len(files)} files are named, at most {bound} may be.")
        for file in files:
            check_path(file.path)
        return files

    async def execute(self, ctx: StepContext[DocumentState]) -> str | None:
        """Fills the state's work, keyed ``1``, ``2``, …"""
        state = ctx.state
        names = await ctx.list_files()
        shown = [f"`{name}`" for name in names[:_SHOWN]]
        if len(names) > _SHOWN:
            shown.append(f"and {len(names) - _SHOWN} more")
        prompt = await ctx.render(
            self,
            **head_values(state),
            listing=bullets(shown, empty="(none)"),
            bound=" (exactly one file)" if self.at_most == 1 else "",
        )
        try:
            found = await ctx.ask_for(
                prompt, lambda text: self.files_in(text, names), what="list of files to write"
            )
        except StepFailed as error:
            raise StepFailed(f"{error} Name the file yourself with --to PATH.") from error
        only = len(found) == 1
        for number, file in enumerate(found, 1):
            # A single file may need all that was given; several are each sent only what they ask for.
            needs = None if only else tuple(n for n in file.needs if n in state.references)
            state.work[str(number)] = FileWork(file.path, file.purpose, needs)
        return bullets([f"`{file.path}`: {file.purpose or 'no purpose stated'}" for file in found])


def checked_target(name: str) -> str:
    """The target that the person named, as it is. UnsafePath for one outside the workspace."""
    try:
        return check_path(name.strip().removeprefix("./"))
    except UnsafePath as error:
        raise UnsafePath(name, error.reason) from None


async def settled_target(ctx: StepContext[DocumentState], name: str) -> str:
    """The file that a target without an ending means: the one that is called so, else ``.txt`` is added.

    Raises WorkspaceError where a folder or a device is called so.
    """
    if with_ending(name) == name or await ctx.at("inputs").read(name) is not None:
        return name
    return with_ending(name)
