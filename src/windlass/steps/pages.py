"""A file in pages: define them all, write one after the other, save them together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from windlass.prompt import PromptTemplateVariable
from windlass.replies import parse_list
from windlass.step import StepContext
from windlass.steps.answers import produce
from windlass.steps.context import FILE_FORMAT
from windlass.steps.documents import (
    FILE_HEAD,
    FILE_VARIABLES,
    PROSE_FORMAT,
    DocumentState,
    DocumentStep,
    FileWork,
    file_values,
    key_of,
    read_file_reply,
)
from windlass.steps.save_file import SaveFileStep
from windlass.typed import find_json
from windlass.vocabulary import is_coding_file

DEFINE_PAGES_PROMPT = (
    FILE_HEAD
    + """
# Your step: define the pages
The file is written anew, in exactly {{count}} pages, one after the other. Say in one or two sentences for each page what it
holds, so that together they do what the person asks and none repeats another. What of the present content is still
wanted must be given to a page.
Answer with one JSON object and nothing else, with exactly {{count}} entries:
{"pages": ["what page 1 holds", "what page 2 holds"]}
"""
)

WRITE_PAGE_PROMPT = (
    FILE_HEAD
    + """
# Its pages
{{pages}}

# The pages written so far
{{before}}

# Your step: page {{number}} of {{count}}
Write this page and no other; it goes on where the page before ends, without repeating anything. It holds: {{page}}
{{form}}
"""
)


class DefinePagesStep(DocumentStep):
    """Exactly as many page prompts as pages are wanted; asks again when the count is off."""

    name = "define_pages"
    title = "Define Pages"
    description = "Say what each page holds"
    variables: Sequence[PromptTemplateVariable] = (*FILE_VARIABLES, PromptTemplateVariable("count"))
    default_prompt = DEFINE_PAGES_PROMPT

    def process_response(self, response: str) -> list[str]:
        """The page prompts of a reply, from JSON or a list."""
        return page_prompts(response)

    async def execute(self, ctx: StepContext[DocumentState]) -> str | None:
        """Fills the state's page prompts."""
        state = ctx.state
        file = the_file(state)
        count = state.options.pages
        file.present = await ctx.read(file.path)
        prompt = await ctx.render(self, **file_values(state, file), count=count)

        def read(text: str) -> list[str]:
            prompts = self.process_response(text)
            if len(prompts) != count:
                raise ValueError(
                    f"exactly {count} page{'' if count == 1 else 's'} must be defined, the reply defines {len(prompts)}; "
                    'answer again with {"pages": [...]}.'
                )
            return prompts

        state.page_prompts = await ctx.ask_for(prompt, read, what=f"definition of {count} pages")
        return numbered(state.page_prompts)


class PageStep(SaveFileStep):
    """Writes one page, knowing those before it; the last one saves the whole file, in one write."""

    name = "write_page"
    title = "Save to File"
    description = "Write a page"
    variables: Sequence[PromptTemplateVariable] = (
        *FILE_VARIABLES,
        *(PromptTemplateVariable(name) for name in ("pages", "before", "number", "count", "page", "form")),
    )
    default_prompt = WRITE_PAGE_PROMPT

    async def execute(self, ctx: StepContext[DocumentState]) -> str | None:
        """One page."""
        state = ctx.state
        file = the_file(state)
        number = int(key_of(ctx.path))
        form = FILE_FORMAT if is_coding_file(file.path) else PROSE_FORMAT
        form = form.replace("the whole file", "this page").replace("its whole text", "the page's whole text")
        prompt = await ctx.render(
            self,
            **file_values(state, file),
            pages=numbered(state.page_prompts),
            before=joined(state.page_texts).rstrip("\n") or "(none)",
            number=number,
            count=len(state.page_prompts),
            page=state.page_prompts[number - 1],
            form=form,
        )
        text = await produce(
            ctx,
            prompt,
            lambda reply: read_file_reply(reply, file.path, None),
            what=f"text for page {number} of {file.path}",
            form=form,
        )
        state.page_texts.append(text)
        if number < len(state.page_prompts):
            ctx.effects.log.file_name(ctx.path, file.path)
            return text
        file.text = joined(state.page_texts)
        return f"{text}\n{await self.save(ctx, file)}"


def the_file(state: DocumentState) -> FileWork:
    """The one file that the pages are of."""
    return state.work["1"]


def joined(pages: Sequence[str]) -> str:
    """The pages as one text, a blank line between them."""
    return "\n\n".join(page.strip("\n") for page in pages) + "\n" if pages else ""


def numbered(lines: Sequence[str]) -> str:
    """Lines as a numbered Markdown list."""
    return "\n".join(f"{number}. {line}" for number, line in enumerate(lines, 1))


def page_prompts(text: str) -> list[str]:
    """The page prompts of a reply, from a JSON list or object, else from a Markdown list."""
    try:
        value: Any = find_json(text)
    except ValueError:
        return parse_list(text)
    if isinstance(value, dict):
        lists = [entry for entry in value.values() if isinstance(entry, list)]
        value = lists[0] if lists else [entry for entry in value.values() if isinstance(entry, str)]
    prompts = [_page_text(entry) for entry in value]
    return [prompt for prompt in prompts if prompt] or parse_list(text)


def _page_text(entry: Any) -> str:
    if isinstance(entry, dict):
        return ": ".join(
            str(part).strip() for part in entry.values() if isinstance(part, str) and part.strip()
        )
    return str(entry).strip() if isinstance(entry, str) else ""
