"""Templates and the mixin, without a database."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from windlass.errors import NotFound, TemplateError
from windlass.prompt import (
    MemoryPromptStore,
    PromptTemplate,
    PromptTemplateVariable,
    PromptVersioningMixin,
    VariableSource,
    VersionedPrompt,
    default_store,
    placeholders,
    set_default_store,
)

relaxed = settings(deadline=None)  # the machine may be busy


class Step(PromptVersioningMixin):
    prompt_name = "greeting"
    default_prompt = "Hello {{who}}"


@pytest.fixture
def step() -> Step:
    step = Step()
    step.repository = MemoryPromptStore()
    return step


@pytest.mark.parametrize(
    ("template", "values", "text"),
    [
        ("Hello {{who}}!", {"who": "you"}, "Hello you!"),
        ("{{ who }}{{\twho\t}}", {"who": "x"}, "xx"),
        ("{{a}}{{b}}", {"a": "{{b}}", "b": "{{a}}"}, "{{b}}{{a}}"),
        ("def f(): return {'a': {1: {}}}", {}, "def f(): return {'a': {1: {}}}"),
        ('{"a": {"b": {{value}}}}', {"value": "[1]"}, '{"a": {"b": [1]}}'),
        ("{{{name}}}", {"name": "x"}, "{x}"),
        ("{{!name}} and {{!!name}}", {}, "{{name}} and {{!name}}"),
        ("{{1}} {{a.b}} {{a b}} {{}} {{ }} {a}", {}, "{{1}} {{a.b}} {{a b}} {{}} {{ }} {a}"),
        ("{{\nname\n}}", {}, "{{\nname\n}}"),
        ("{{n}}", {"n": 3}, "3"),
        ("", {}, ""),
    ],
)
def test_fill(template, values, text):
    assert PromptTemplate(template).fill(values) == text


@relaxed
@given(st.text(), st.text(), st.text())
def test_values_and_literals_are_never_touched(before, value, after):
    before, after = before.replace("{", "("), after.replace("}", ")").replace("{", "(")
    assert PromptTemplate(before + "{{x}}" + after).fill({"x": value}) == before + value + after


@relaxed
@given(st.dictionaries(st.from_regex(r"[a-z_]{1,5}", fullmatch=True), st.text(), min_size=1))
def test_one_pass(values):
    template = "|".join("{{" + name + "}}" for name in values)
    assert PromptTemplate(template).fill(values) == "|".join(values.values())


def test_missing_and_unknown_names_are_named():
    template = PromptTemplate("{{a}} {{b}} {{c}}")
    with pytest.raises(TemplateError, match=r"needs a value for 'b', 'c'"):
        template.fill({"a": "1", "c": None})
    with pytest.raises(ValueError, match=r"no variable 'd'; it knows 'a', 'b', 'c'"):
        template.fill({"a": "1", "b": "2", "c": "3", "d": "4"})


def test_a_declared_variable_may_be_absent_from_the_text():
    template = PromptTemplate("{{a}}", [PromptTemplateVariable("a"), PromptTemplateVariable("b")])
    assert template.fill({"a": "1", "b": "2"}) == "1"


def test_values_set_on_variables_are_used_unless_given():
    variable = PromptTemplateVariable("a", VariableSource.USER_INPUT)
    template = PromptTemplate("{{a}}", [variable])
    with pytest.raises(ValueError, match="'a' has no value"):
        variable.get_value()
    variable.set_value("set")
    assert (variable.get_value(), template.fill(), template.fill({"a": "given"})) == ("set", "set", "given")


def test_to_dict():
    template = PromptTemplate("{{a}}", [PromptTemplateVariable("a", VariableSource.USER_INPUT, True, True)])
    assert template.to_dict() == {
        "template": "{{a}}",
        "variables": [
            {
                "name": "a",
                "source": "USER_INPUT",
                "allow_code_context_building": True,
                "allow_llm_refinement": True,
                "value": None,
            }
        ],
    }


@pytest.mark.parametrize("name", ["", "1a", "a b", "a-b", "é"])
def test_bad_variable_names(name):
    with pytest.raises(TemplateError, match="cannot name a prompt variable"):
        PromptTemplateVariable(name)


def test_declared_twice():
    with pytest.raises(TemplateError, match="declared twice: 'a'"):
        PromptTemplate("", [PromptTemplateVariable("a"), PromptTemplateVariable("a")])


def test_placeholders_in_order_each_once():
    assert placeholders("{{b}} {{a}} {{b}} {{!c}}") == ("b", "a")


def test_versioned_prompt_is_frozen():
    with pytest.raises(AttributeError):
        VersionedPrompt(1, "text").version_no = 2


def test_the_mixin_needs_a_name():
    class Nameless(PromptVersioningMixin):
        default_prompt = "x"

    with pytest.raises(TypeError, match="prompt_name"):
        Nameless()


def test_the_default_becomes_version_1(step):
    assert step.current_prompt == "Hello {{who}}"
    assert step.get_current_effective_prompt() == "Hello {{who}}"
    assert step.get_version(1) == "Hello {{who}}"
    assert step.resolve_prompt().version_no == 1


def test_adding_before_first_use_keeps_the_default_as_version_1(step):
    assert step.add_version("Hi {{who}}") == 2
    assert step.get_version(1) == step.get_current_effective_prompt() == "Hello {{who}}"
    assert step.load_latest_version() == "Hi {{who}}"


def test_current_prompt_follows_the_switch_and_only_lookups(step):
    other = Step()
    other.repository = step.repository
    other.get_current_effective_prompt()
    step.add_version("Hi {{who}}")
    step.set_current_effective_version(2, reason="shorter")
    assert step.current_prompt == "Hi {{who}}"
    assert other.current_prompt == "Hello {{who}}"  # memory
    assert other.get_current_effective_prompt() == other.current_prompt == "Hi {{who}}"
    assert step.repository.log("greeting")[-1].reason == "shorter"


def test_a_number_that_is_not_there(step):
    with pytest.raises(NotFound, match=r"no version 7 \(live: 1\)"):
        step.get_version(7)


def test_steps_without_a_repository_share_the_process_store():
    before = default_store()
    try:
        set_default_store(MemoryPromptStore())
        Step().add_version("Hi {{who}}")
        assert Step().load_latest_version() == "Hi {{who}}"
    finally:
        set_default_store(before)


def test_variables_declared_on_the_class_are_what_versions_may_use():
    class Declared(Step):
        prompt_variables = (
            PromptTemplateVariable("who", VariableSource.USER_INPUT),
            PromptTemplateVariable("tone"),
        )

    step = Declared()
    step.repository = MemoryPromptStore()
    assert step.add_version("{{who}}, {{tone}}") == 2
    with pytest.raises(TemplateError, match=r"cannot use '\{\{when\}\}': its step gives tone, who"):
        step.add_version("{{who}} {{when}}")
    with pytest.raises(TemplateError, match=r"must keep '\{\{who\}\}'"):
        step.add_version("{{tone}}")
    assert step.load_latest_version() == "{{who}}, {{tone}}"
