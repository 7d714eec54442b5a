import pytest

from offtui.protocol.spec import Message
from offtui.worker.failures import WorkerError
from offtui.worker.template import CHATML, ChatTemplate


def template(source: str | None, *tokens: str) -> ChatTemplate:
    return ChatTemplate(source, "<s>", "</s>", lambda text: text in tokens)


QUESTION = (Message("user", "Hi"),)


def test_the_files_own_template_is_used() -> None:
    made = template("{{ bos_token }}{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}[go]")
    assert made.render(QUESTION) == "<s>[user]Hi[go]"
    assert made.notice == ""


def test_without_a_template_chatml_is_used_where_the_vocabulary_has_its_marks() -> None:
    made = template(None, "<|im_start|>", "<|im_end|>")
    assert made.render(QUESTION) == "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
    assert "no chat template" in made.notice


def test_without_a_template_or_marks_plain_lines_and_stops_are_used() -> None:
    made = template(None)
    assert made.render(QUESTION) == "User: Hi\nAssistant:"
    assert "\nUser:" in made.stops


def test_a_broken_template_is_said_and_replaced() -> None:
    made = template("{% for %}", "<|im_start|>", "<|im_end|>")
    assert "broken" in made.notice
    assert made.render(QUESTION).startswith("<|im_start|>user")


def test_a_template_without_a_system_role_gets_it_in_the_first_question() -> None:
    source = (
        "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no system') }}{% endif %}"
        "{{ m.content }}{% endfor %}"
    )
    assert template(source).render((Message("system", "Be short."), *QUESTION)) == "Be short.\n\nHi"


def test_a_refusal_is_a_sentence() -> None:
    with pytest.raises(WorkerError, match="roles must alternate"):
        template("{{ raise_exception('roles must alternate') }}").render(QUESTION)


@pytest.mark.parametrize(
    "source",
    [
        "{{ 'A' * 500000000 }}",
        "{{ 9 ** (9 ** 9) }}",
        "{{ '%999999999d' % 1 }}",
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ messages.append(1) }}",
        "{{ cycler.__init__.__globals__.os.system('true') }}",
        "{% for i in range(99999) %}{% for j in range(99999) %}xxxxxxxxxxxxxxxx{% endfor %}{% endfor %}",
        "{{ 1 // 0 }}",
        "{{ 'x' | center(150000000) }}",
        "{{ '%150000000d' | format(1) }}",
        "{{ 'x'.ljust(150000000) }}",
        "{{ '{:>150000000}'.format(1) }}",
        "{{ 'x' | indent(150000000, true) }}",
        "{{ cycler().next() }}",
        "{{ none.missing.more }}",
    ],
)
def test_hostile_templates_are_refused(source: str) -> None:
    with pytest.raises(WorkerError):
        template(source).render(QUESTION)


def test_the_same_means_used_as_meant_work() -> None:
    source = "{{ 'x' | center(5) }}{{ '%02d' | format(7) }}{{ '{:>3}'.format(1) }}{{ 'a'.ljust(2) }}"
    source += "{{ 'b' | indent(2, true) }}"
    assert template(source).render(QUESTION) == "  x  07  1a   b"


def test_reasoning_is_given_to_templates_that_know_it() -> None:
    made = template("{% for m in messages %}{{ m.reasoning_content | default('-') }}{{ m.content }}{% endfor %}")
    assert made.render((Message("assistant", "Yes", "hm"), *QUESTION)) == "hmYes-Hi"


def test_chatml_is_what_it_should_be() -> None:
    assert template(CHATML).render((Message("system", "S"), *QUESTION)).startswith("<|im_start|>system\nS<|im_end|>\n")


def test_thinking_is_switched_only_where_the_template_knows_the_switch() -> None:
    source = "{% if enable_thinking is defined %}{{ enable_thinking }}{% else %}open{% endif %}"
    knows = ChatTemplate(source, "", "", lambda _: False)
    assert knows.knows_thinking
    assert [knows.render(QUESTION, think=think) for think in (None, True, False)] == ["open", "True", "False"]
    plain = ChatTemplate("{{ messages[0].content }}", "", "", lambda _: False)
    assert not plain.knows_thinking
    assert plain.render(QUESTION, think=True) == plain.render(QUESTION)
    assert not ChatTemplate("{% enable_thinking", "", "", lambda _: False).knows_thinking
