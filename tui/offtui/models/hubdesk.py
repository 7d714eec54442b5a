"""What the hub's screen works with: searches, repositories, plans and downloads. Calls wait; they are for threads."""

import contextlib
from collections.abc import Callable, Generator, Sequence
from typing import Literal

import msgspec

from offtui.engine.prober import Leash
from offtui.errors import UsageError
from offtui.hub.client import HubClient
from offtui.hub.names import Offer, offers
from offtui.hub.query import parse_query
from offtui.hub.wire import Failed, Found, GetInfo, GetReadme, HubFailure, Info, Looking, Readme, Repo, Sort
from offtui.models.downloads import Downloads, Listener, job_of
from offtui.models.fitting import Here
from offtui.models.present import on_disk
from offtui.models.remote import Planned, plan_offer
from offtui.store.catalogue import Catalogue

Errand = Literal["search", "open", "readme"]


class Opened(msgspec.Struct, frozen=True):
    """A repository with what it offers."""

    repo: Repo
    commit: str
    offers: tuple[Offer, ...]
    refused: int
    present: dict[str, tuple[str, ...]] = {}
    """Paths of the offers that are on this disk, by name."""


class HubDesk:
    """One process for questions and one for downloads, both started when they are first needed."""

    def __init__(self, listener: Listener) -> None:
        self._client = HubClient()
        self._leash = Leash()
        self._asked: dict[str, int] = {}
        """Of each errand the request that is waited for."""
        self.downloads = Downloads(listener)

    def give_up(self, errand: Errand) -> None:
        """Wait no more for the answer to the newest call of this name, if it still waits."""
        id = self._asked.pop(errand, None)
        if id is not None:
            self._client.give_up(id)

    def give_up_all(self) -> None:
        """Wait for no answer any more, of plans neither; downloads go on."""
        self._client.give_up_all()

    def search(self, words: str, sort: Sort, looking: Callable[[Looking], None] | None = None) -> Found | HubFailure:
        """Repositories with GGUFs; ``author:NAME``, ``size:<8GiB`` and the like among the words narrow it.

        Args:
            words: as they were typed.
            sort: which come first.
            looking: is told how far it is, on the thread of the call.
        """
        try:
            query = parse_query(words.split())
        except UsageError as error:
            return HubFailure("bad_name", str(error))
        request = query.request(self._client.next_id(), sort, 30 if query.size else 60)
        self._asked["search"] = request.id
        answer = self._client.call(request, looking=looking)
        return answer if isinstance(answer, Found) else _failure(answer)

    def open(self, repo: str) -> Opened | HubFailure:
        """A repository and its GGUFs."""
        self._asked["open"] = id = self._client.next_id()
        answer = self._client.call(GetInfo(id=id, repo=repo))
        if not isinstance(answer, Info):
            return _failure(answer)
        found = tuple(offers(answer.files))
        if not found:
            return HubFailure("no_gguf", f"{answer.repo.name} has no GGUF files.")
        with contextlib.closing(Catalogue()) as catalogue:
            present = on_disk(answer.repo.name, found, catalogue)
        return Opened(answer.repo, answer.commit, found, answer.refused, present)

    def readme(self, repo: str) -> str | HubFailure:
        """Its README as text."""
        self._asked["readme"] = id = self._client.next_id()
        answer = self._client.call(GetReadme(id=id, repo=repo))
        return answer.text if isinstance(answer, Readme) else _failure(answer)

    def plans(self, opened: Opened, here: Here, wanted: Sequence[Offer]) -> Generator[Planned]:
        """What of each offer that is a model would fit here, one after the other; on one thread."""
        with contextlib.closing(Catalogue()) as catalogue:
            for offer in wanted:
                if offer.kind == "model":
                    yield plan_offer(self._client, opened.repo.name, opened.commit, offer, here, catalogue, self._leash)

    def download(self, opened: Opened, offer: Offer, to: str = "") -> None:
        """Into a folder, by default Hugging Face's cache."""
        self.downloads.add(job_of(opened.repo.name, opened.commit, offer, to))

    def close(self) -> None:
        """End both processes."""
        self._leash.cut()
        self._client.close()
        self.downloads.close()


def _failure(answer: object) -> HubFailure:
    return answer.failure if isinstance(answer, Failed) else HubFailure("internal", "The hub's process is confused.")
