"""The transcript and the prompt alone: python -m tests.ui.transcript.demo [--empty | --stream] [--theme=NAME]."""

import sys

from textual.app import App, ComposeResult

from offtui.ui import themes
from offtui.ui.transcript import Entry, Transcript
from offtui.ui.widgets.prompt import Prompt

ANSWER = """# GPU offloading

**Offloading** puts some layers of a model on the GPU and keeps the rest in RAM. With `n_gpu_layers = 28` of 37 the
first nine layers stay on the CPU; see [the docs](https://github.com/ggml-org/llama.cpp) for *all* the flags.

## What it costs

| layers | VRAM | RAM | tokens/s |
|:-------|-----:|----:|---------:|
| 0 | 0.4 GiB | 8.1 GiB | 3.2 |
| 28 | 6.1 GiB | 2.0 GiB | 14.9 |
| 37 | 7.9 GiB | 0.3 GiB | 31.4 |

1. Load the model with the layers that fit.
2. Watch the monitor:
   - VRAM must stay below the budget
   - ~~swap~~ RAM is plenty
     - [x] measured
     - [ ] predicted
3. Press `+` to add a layer.

> The KV cache lies with its layers. It grows with the context:
> \\( \\text{bytes} = 2 \\cdot n_{ctx} \\cdot n_{layer} \\cdot d_{kv} \\cdot b \\)

```python
def kv_bytes(n_ctx: int, n_layer: int, d_kv: int, width: float = 2.0) -> float:
    \"\"\"Keys and values of every layer.\"\"\"
    return 2 * n_ctx * n_layer * d_kv * width  # 2: K and V


print(f"{kv_bytes(8192, 37, 1024) / 2**30:.1f} GiB")
```

宽字符也不会破坏网格：模型有三十七层，其中二十八层在显卡上。Emoji 👩‍🚀🚀 and é combining too.

---

$$
E = \\sum_{i=1}^{n} x_i^2
$$
"""


class Demo(App[None]):
    CSS = "Screen { layout: vertical; } Prompt { margin: 0 1; }"
    ENABLE_COMMAND_PALETTE = False

    def compose(self) -> ComposeResult:
        yield Transcript(
            empty="# offtui\n\nAsk the **guide** anything about offloading.\n\n"
            "- `Enter` sends, `Ctrl+J` begins a line\n- `Ctrl+R` turns the dial"
        )
        yield Prompt(placeholder="Ask something… Enter sends, Ctrl+J begins a line")

    def on_mount(self) -> None:
        theme = themes.load(next((word[8:] for word in sys.argv if word.startswith("--theme=")), "offtui"))
        self.register_theme(theme)
        self.theme = theme.name
        transcript = self.query_one(Transcript)
        self.query_one(Prompt).focus()
        if "--empty" in sys.argv:
            return
        transcript.append(Entry(1, "notice", "guide Q8_0 loaded: 4 of 13 layers on RPC0"))
        transcript.append(Entry(2, "user", "What is GPU offloading?\n  and what does it cost?"))
        transcript.append(
            Entry(
                3, "assistant", ANSWER, "The user asks for the cost. " * 20, "4/13 layers · 214 tokens · 31.4 t/s",
                name="guide Q8_0", reasoning_tokens=214,
            )
        )  # fmt: skip
        transcript.append(Entry(4, "user", "And if it does not fit?"))
        if "--stream" in sys.argv:
            transcript.begin(5, name="guide Q8_0")
            transcript.feed(reasoning="First, does it fit at all? Count the layers, then the cache. " * 12)
            if "--answer" in sys.argv:
                transcript.feed("Then fewer layers go there. It is ")
        else:
            transcript.append(
                Entry(5, "assistant", "Then fewer layers go", stamp="4/13 layers", state="stopped", name="guide Q8_0")
            )
            transcript.append(Entry(6, "error", "The worker ended: out of memory on CUDA0. Try 24 layers.\nmore"))

    def on_prompt_submitted(self, message: Prompt.Submitted) -> None:
        transcript = self.query_one(Transcript)
        count = len(transcript.entries) + 10
        transcript.append(Entry(count, "user", message.prompt.take()))
        transcript.append(Entry(count + 1, "assistant", ANSWER, name="echo"))

    def key_pageup(self) -> None:
        self.query_one(Transcript).action_page_up()

    def key_pagedown(self) -> None:
        self.query_one(Transcript).action_page_down()


if __name__ == "__main__":
    Demo().run()
