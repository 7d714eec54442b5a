"""Which code a message holds."""

from offtui.ui.transcript.blocks import CodeBlock, code_blocks


def test_fenced_indented_nested_and_open_code_is_found_in_order() -> None:
    text = (
        "Run:\n\n```sh\npip install x\n```\n\n1. then\n   ~~~ {.python}\n   import x\n\n   x.go()\n   ~~~\n\n"
        "> ```\n> quoted\n> ```\n\n    indented\n\n```c\nint open"
    )
    assert code_blocks(text) == [
        CodeBlock("sh", "pip install x"),
        CodeBlock("python", "import x\n\nx.go()"),
        CodeBlock("", "quoted"),
        CodeBlock("", "indented"),
        CodeBlock("c", "int open"),
    ]
    assert code_blocks(text)[0].first_line == "pip install x"


def test_text_without_code_has_none() -> None:
    assert code_blocks("just `inline` code") == []
    assert code_blocks("") == []
