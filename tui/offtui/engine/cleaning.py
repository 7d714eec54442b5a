"""Texts in events, cleaned once more at the parent's boundary: the worker is ours, but what it repeats is not."""

from msgspec.structs import replace

from offtui.protocol.events import (
    DeviceMemory,
    Event,
    HeaderRead,
    Hello,
    Loaded,
    LoadFailed,
    Piece,
    StateRestored,
    StateSaved,
    TurnFailed,
)
from offtui.protocol.facts import DeviceFacts, DeviceLedger, Failure, ModelFacts
from offtui.text import clean, clean_line


def clean_failure(failure: Failure) -> Failure:
    """``failure`` with every text on one clean line."""
    return replace(
        failure,
        message=clean_line(failure.message),
        evidence=clean_line(failure.evidence),
        advice=clean_line(failure.advice),
    )


def clean_event(event: Event) -> Event:
    """``event`` with its texts cleaned. What identifies something (the spec of a load, a path asked for) stays."""
    match event:
        case Piece(text=text):
            cleaned = clean(text)
            return event if cleaned == text else replace(event, text=cleaned)
        case Hello():
            return replace(
                event, llama_cpp=clean_line(event.llama_cpp), backends=tuple(map(clean_line, event.backends))
            )
        case Loaded():
            return replace(
                event,
                model=_model(event.model),
                devices=tuple(map(_ledger, event.devices)),
                memory=tuple(map(_device, event.memory)),
                notices=tuple(map(clean_line, event.notices)),
            )
        case DeviceMemory():
            return replace(event, devices=tuple(map(_device, event.devices)))
        case LoadFailed(failure=failure):
            return replace(event, failure=clean_failure(failure))
        case TurnFailed(failure=failure):
            return replace(event, failure=clean_failure(failure))
        case HeaderRead(header=header, failure=failure):
            if header is not None:
                header = replace(
                    header,
                    name=clean_line(header.name),
                    arch=clean_line(header.arch),
                    quant=clean_line(header.quant),
                )
            return replace(event, header=header, failure=None if failure is None else clean_failure(failure))
        case StateSaved(why=why) | StateRestored(why=why):
            return replace(event, why=clean_line(why))
        case _:
            return event


def _model(model: ModelFacts) -> ModelFacts:
    return replace(
        model,
        path=clean_line(model.path, 4096),
        name=clean_line(model.name),
        arch=clean_line(model.arch),
        quant=clean_line(model.quant),
    )


def _device(device: DeviceFacts) -> DeviceFacts:
    pci = None if device.pci is None else clean_line(device.pci, 40)
    return replace(device, name=clean_line(device.name), description=clean_line(device.description), pci=pci)


def _ledger(ledger: DeviceLedger) -> DeviceLedger:
    return replace(ledger, name=clean_line(ledger.name))
