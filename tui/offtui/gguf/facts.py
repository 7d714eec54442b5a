"""What a list shows of a model file: the few facts of its header that are kept for every file ever seen."""

import msgspec

from offtui.gguf.header import Header, Kind
from offtui.text import clean_line


class FileFacts(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """Facts of one header, cleaned; or why there are none."""

    kind: Kind = "unsupported"
    name: str = ""
    """In the file; may be empty."""
    arch: str = ""
    quant: str = ""
    n_layer: int = 0
    n_ctx_train: int = 0
    n_params: int = 0
    license: str = ""
    has_template: bool = False
    failure: str = ""
    """Why the header cannot be read, one sentence; empty where it was."""


def facts_of(header: Header) -> FileFacts:
    """The facts of a header."""
    return FileFacts(
        kind=header.kind,
        name=header.name,
        arch=header.arch,
        quant=header.quant,
        n_layer=header.n_layer,
        n_ctx_train=header.n_ctx_train,
        n_params=header.n_params,
        license=clean_line(header.get_str("general.license"), 60),
        has_template=header.has_template,
    )
