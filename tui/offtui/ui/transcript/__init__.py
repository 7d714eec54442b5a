"""The transcript: a widget that shows a conversation of any length and streams an answer into it.

    transcript = Transcript(empty="Ask something.")     # mount it; scrolling is never animated
    transcript.append(Entry(1, "user", "What is an offload?"))
    transcript.begin(2, name="guide Q8_0")              # an answer begins
    transcript.feed("Off", reasoning="")                # any number of times; drawn at most 10 times a second
    transcript.end("done", stamp="4/13 layers · 31 t/s")

From anywhere: ``action_page_up``, ``action_page_down``, ``action_scroll_up``, ``action_scroll_down``,
``action_scroll_home``, ``action_scroll_end``, ``toggle_reasoning``, ``source_of``, ``replace``, ``clear``. In
``Messages`` one message can be chosen: ``choose``, ``choose_next``.
"""

from offtui.ui.transcript.choosing import Messages
from offtui.ui.transcript.model import Entry, EntryState, Role, Sketch
from offtui.ui.transcript.widget import Transcript

__all__ = ["Entry", "EntryState", "Messages", "Role", "Sketch", "Transcript"]
