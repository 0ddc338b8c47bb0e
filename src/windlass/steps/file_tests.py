"""Tests for files that exist: name the test file, plan, write, add edge cases, run, repair. The source is never written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from windlass.errors import StepFailed, WorkspaceError
from windlass.prompt import PromptTemplateVariable
from windlass.step import StepContext
from windlass.steps.answers import produce, render
from windlass.steps.chat import plain_answer
from windlass.steps.context import bullets, show_files
from windlass.steps.documents import (
    EDIT_FORMAT,
    HEAD,
    HEAD_VARIABLES,
    DocumentState,
    DocumentStep,
    FileWork,
    Instruction,
    code_format,
    head_values,
    key_of,
    read_file_reply,
)
from windlass.steps.find_files import FindFilesStep
from windlass.steps.naming_tests import how_to_import, is_test_file, test_files
from windlass.steps.save_file import SaveFileStep
from windlass.steps.testing import describe_failure
from windlass.testreport import TestReport
from windlass.vocabulary import FilePurpose

SOURCE_HEAD = (
    HEAD
    + """
# The file under test (read-only)
{{source}}

# Its tests
They go into `{{path}}`{{how}}.
"""
)
SOURCE_VARIABLES = (*HEAD_VARIABLES, *(PromptTemplateVariable(name) for name in ("source", "path", "how")))

PLAN_TESTS_PROMPT = (
    SOURCE_HEAD
    + """
Present tests:
{{present}}

# Your step: plan the tests
List what must be checked, as a Markdown list: first what the file promises, then its edges and errors. Say of each
what goes in and what must come out, worked out from the file itself. Do not write the tests yet.
"""
)

WRITE_TESTS_PROMPT = (
    SOURCE_HEAD
    + """
Present tests:
{{present}}

# The plan
{{plan}}

# Your step: write the tests
Write `{{path}}` as planned; keep present tests that still hold. Test behaviour, not details that a right
solution could do otherwise. No network, no clock, no files outside a test's own temporary folder.
{{form}}
"""
)

EDGE_CASES_PROMPT = (
    SOURCE_HEAD
    + """
Present tests:
{{present}}

# Your step: edge cases
Find what the tests above do not check yet: empty and huge input, limits, wrong types, errors, repeated calls. Add tests
for what matters and leave the others as they are; when nothing is missing, answer with the file as it is.
{{form}}
"""
)

REPAIR_TESTS_PROMPT = (
    SOURCE_HEAD
    + """
Present tests:
{{present}}

# What running them says
{{failure}}

# Your step: repair the tests
The file under test stays as it is. Put right what the tests have wrong. Where a test is right and the file itself is
wrong, mark that test as an expected failure, with the reason (in pytest:
`@pytest.mark.xfail(strict=True, reason="...")`); never bend a test to a wrong result.
{{form}}
"""
)

PLAN_TESTS = Instruction(
    "documents.plan_tests", PLAN_TESTS_PROMPT, (*SOURCE_VARIABLES, PromptTemplateVariable("present"))
)


@dataclass
class TestWork(FileWork):
    """One test file, and the file that it tests."""

    __test__ = False  # not a test class, whatever its name

    source: str = ""
    source_text: str = ""
    report: TestReport | None = None
    repairs: int = 0
    not_run: str = ""


class NameTestsStep(FindFilesStep):
    """Names the test file of each file under test; asks which those are only when none was given."""

    name = "find_tested"
    title = "Generate File Name"
    description = "Find what to test, and name the test file"
    default_prompt = (
        HEAD
        + """
# Files that exist
{{listing}}

# Your step: find the files to test
Say which of the files that exist are to be tested{{bound}}: those the person names, else those the message is about. Name
no test file. Answer with one JSON object and nothing else:
{"files": [{"path": "src/cart.py"}]}
"""
    )

    async def execute(self, ctx: StepContext[DocumentState]) -> str | None:
        """Fills the state's work, keyed ``1``, ``2``, …"""
        options = ctx.state.options
        names = await ctx.list_files()
        sources = list(options.files) or [file.path for file in await self._ask(ctx, names)]
        if options.to is not None and len(sources) > 1:
            raise StepFailed(
                f"{len(sources)} files are to be tested, but --to names one test file; leave it out."
            )
        for number, (source, target) in enumerate(test_files(sources, names, options.to), 1):
            ctx.state.work[str(number)] = TestWork(target, source=source)
        works = [work for work in ctx.state.work.values() if isinstance(work, TestWork)]
        ctx.effects.log.file_name(ctx.path, works[0].path)
        return bullets([f"`{work.source}` is tested by `{work.path}`" for work in works])

    async def _ask(self, ctx: StepContext[DocumentState], names: Sequence[str]) -> list[FilePurpose]:
        prompt = await ctx.render(
            self,
            **head_values(ctx.state),
            listing=bullets([f"`{name}`" for name in names[:400]], "(none)"),
            bound="",
        )

        def read(text: str) -> list[FilePurpose]:
            files = self.files_in(text, names)
            for file in files:
                if file.path not in names:
                    raise ValueError(f"{file.path} is not one of the files that exist.")
                if is_test_file(file.path):
                    raise ValueError(f"{file.path} is a test file itself; name the file that it tests.")
            return files

        try:
            return await ctx.ask_for(prompt, read, what="name of a file to test")
        except StepFailed as error:
            raise StepFailed(f"{error} Name the file yourself with --file PATH.") from error


class WriteTestsStep(SaveFileStep):
    """Plans the tests of one file, then writes them to the test file."""

    name = "write_tests"
    title = "Write Tests"
    description = "Plan and write the tests"
    variables: Sequence[PromptTemplateVariable] = (
        *SOURCE_VARIABLES,
        *(PromptTemplateVariable(name) for name in ("present", "plan", "form")),
    )
    default_prompt = WRITE_TESTS_PROMPT

    async def execute(self, ctx: StepContext[DocumentState]) -> str | None:
        """Two requests: the plan, which is never saved, and the tests."""
        work = test_work(ctx)
        work.present = await ctx.read(work.path)
        values = await source_values(ctx, work)
        present = "(none)" if work.present is None else show_files({work.path: work.present})
        prompt = await render(ctx, PLAN_TESTS, **values, present=present)
        work.plan = await ctx.ask_for(prompt, plain_answer, what=f"plan of tests for {work.source}")
        form = code_format(work.present)
        prompt = await ctx.render(self, **values, present=present, plan=work.plan, form=form)
        work.text = await produce(
            ctx,
            prompt,
            lambda text: read_file_reply(text, work.path, work.present),
            what=f"tests in {work.path}",
            form=form,
        )
        return await self.save(ctx, work)


class EdgeCasesStep(SaveFileStep):
    """Adds tests for what the first ones left out."""

    name = "edge_cases"
    title = "Edge Cases"
    description = "Add tests for edges and errors"
    variables: Sequence[PromptTemplateVariable] = (
        *SOURCE_VARIABLES,
        *(PromptTemplateVariable(name) for name in ("present", "form")),
    )
    default_prompt = EDGE_CASES_PROMPT

    async def execute(self, ctx: StepContext[DocumentState]) -> str | None:
        """One request; the tests as they were when nothing is missing."""
        work = test_work(ctx)
        return await self.change(ctx, work, await self.ask(ctx, work))

    async def ask(self, ctx: StepContext[DocumentState], work: TestWork, **more: str) -> str:
        """The whole changed test file."""
        present = work.text or ""
        prompt = await ctx.render(
            self,
            **await source_values(ctx, work),
            present=show_files({work.path: present}),
            form=EDIT_FORMAT,
            **more,
        )
        return await ctx.ask_for(
            prompt, lambda text: read_file_reply(text, work.path, present), what=f"tests in {work.path}"
        )

    async def change(self, ctx: StepContext[DocumentState], work: TestWork, text: str) -> str:
        """Save the changed tests, if they changed."""
        if text == work.text:
            return f"{work.path} needs no change."
        work.text = text
        await ctx.write({work.path: text})
        return f"Changed {work.path} ({len(text.encode()):,} bytes)."


class RunTestsStep(DocumentStep):
    """Runs one test file in the sandbox. It ends well whatever the tests say: what they say is what it is for."""

    name = "run_tests"
    title = "Run Tests"
    description = "Run the tests in the sandbox"
    default_prompt = "Run the tests."

    async def execute(self, ctx: StepContext[DocumentState]) -> str | None:
        """How it went."""
        work = test_work(ctx)
        if not work.path.endswith(".py") and not ctx.effects.test_command:
            work.not_run = f"not run: only Python tests can be run without --test-command ({work.path})"
            ctx.skip(work.not_run)
            return None
        work.report = await ctx.run_tests([work.path])
        return work.report.outcome


class RepairTestsStep(EdgeCasesStep):
    """Changes the tests that fail, and runs them again. The occurrence's key is ``file.repair``."""

    name = "repair_tests"
    title = "Repair Tests"
    description = "Correct the tests that fail"
    variables: Sequence[PromptTemplateVariable] = (
        *SOURCE_VARIABLES,
        *(PromptTemplateVariable(name) for name in ("present", "form", "failure")),
    )
    default_prompt = REPAIR_TESTS_PROMPT

    async def execute(self, ctx: StepContext[DocumentState]) -> str | None:
        """One request, one test run."""
        work = test_work(ctx)
        assert work.report is not None
        text = await self.ask(ctx, work, failure=describe_failure(work.report))
        said = await self.change(ctx, work, text)
        work.report = await ctx.run_tests([work.path])
        return f"{said} {work.report.outcome}"


def test_work(ctx: StepContext[DocumentState]) -> TestWork:
    """The test file that this occurrence of a step is about."""
    work = ctx.state.work[key_of(ctx.path).partition(".")[0]]
    assert isinstance(work, TestWork)
    return work


async def source_values(ctx: StepContext[DocumentState], work: TestWork) -> dict[str, str]:
    """The values of :data:`SOURCE_HEAD`."""
    source = await ctx.read(work.source)
    if source is None:
        raise WorkspaceError(f"There is no file {work.source} in the workspace.")
    work.source_text = source
    how = f", with pytest; {how_to_import(work.source, work.path)}" if work.source.endswith(".py") else ""
    return {
        **head_values(ctx.state),
        "source": show_files({work.source: source}),
        "path": work.path,
        "how": how,
    }
