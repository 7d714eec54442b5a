"""A screen that has things done on threads, and is told what came of them."""

from collections.abc import Callable
from typing import TypeVar, cast

from textual.app import App
from textual.worker import Worker, get_current_worker  # pyright: ignore[reportUnknownVariableType] -- Worker[Unknown]

from offtui.ui.narrow import OpaqueScreen

T = TypeVar("T")


class ErrandScreen(OpaqueScreen):
    """Whatever waits does so on a thread."""

    def off(self, do: Callable[[], T], then: Callable[[T], None], group: str) -> None:
        """Do something on a thread, and ``then`` something here; a later one of the same group takes its place."""

        def work() -> None:
            worker = cast("Worker[None]", get_current_worker())
            value = do()
            if not worker.is_cancelled:
                self.whole_app.call_from_thread(self._then, then, value)

        self.run_worker(work, thread=True, exclusive=True, group=group, exit_on_error=True)

    def call_off(self, group: str) -> None:
        """What is being done for this group is not waited for any more."""
        self.workers.cancel_group(self, group)  # pyright: ignore[reportUnknownMemberType] -- Textual leaves Worker[Unknown]

    def _then(self, then: Callable[[T], None], value: T) -> None:
        if self.is_mounted:
            then(value)

    @property
    def whole_app(self) -> App[None]:
        """The app, with its type."""
        return cast("App[None]", self.app)  # pyright: ignore[reportUnknownMemberType] -- Textual leaves App[Unknown]
