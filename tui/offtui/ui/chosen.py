"""What holds for the next answer: what is chosen for this chat, over what is for its model, over the config."""

import msgspec

from offtui.store.chats.changes import NEW_CHAT
from offtui.store.manners import NOTHING, Manner, Manners
from offtui.ui.manner import with_value


class Chosen:
    """Follows which conversation and which model are up. What is chosen for a chat is kept once the chat is."""

    def __init__(self, base: Manner, store: Manners) -> None:
        """Nothing is chosen yet.

        Args:
            base: of the config and the command line.
            store: where the rest is kept.
        """
        self._base = base
        self.store = store
        self._of_chat = NOTHING
        self._conversation: object = None
        self._chat = NEW_CHAT
        self._is_kept = True

    def follow(self, conversation: object, chat: str, system_prompt: str | None = None) -> None:
        """This conversation is on the screen now, and is kept as that chat, or not yet.

        Args:
            conversation: whichever object it is.
            chat: its id.
            system_prompt: that is kept with it: it may have been imported.
        """
        if conversation is not self._conversation:
            self._conversation = conversation
            self._of_chat = self.store.of_chat(chat) if chat != NEW_CHAT else NOTHING
            if system_prompt is not None:
                self._of_chat = msgspec.structs.replace(self._of_chat, system_prompt=system_prompt)
            self._is_kept = True
        self._chat = chat
        if not self._is_kept and chat != NEW_CHAT:
            self.store.keep_for_chat(chat, self._of_chat)
            self._is_kept = True

    @property
    def of_chat(self) -> Manner:
        """What is chosen for the chat."""
        return self._of_chat

    def below_chat(self, model: str) -> Manner:
        """What holds where the chat says nothing."""
        return self.store.of_model(model).over(self._base)

    def below_model(self) -> Manner:
        """What holds where the model says nothing either."""
        return self._base

    def effective(self, model: str) -> Manner:
        """All of it for a chat with that model."""
        return self._of_chat.over(self.below_chat(model))

    def choose(self, manner: Manner) -> None:
        """From now on this holds for the chat."""
        self._of_chat = manner
        self._is_kept = False
        self.follow(self._conversation, self._chat)

    def set(self, name: str, text: str) -> None:
        """One value for the chat, as it was typed.

        Raises:
            UsageError: there is no such value, or it cannot be that.
        """
        self.choose(with_value(self._of_chat, name, text))
