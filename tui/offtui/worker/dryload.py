"""The dry load: llama.cpp plans a load without allocating or reading weights, and says what it would need.

``--devices ENDPOINT…`` prints a ``DevicesReply``. Without it,
``python -m offtui.worker.dryload`` reads a ``DryRequest`` as JSON from stdin and prints a ``DryResult`` per point as
a line of JSON, each as soon as it is known. A disposable process: llama.cpp may abort it, and the context of a GPU
backend lives until it ends. The parent sets the deadline.
"""

import os
import re
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from offtui.plan.probe import DevicesReply, DryPoint, DryRequest, DryResult
from offtui.protocol.spec import LoadSpec
from offtui.text import clean_line
from offtui.units import MIB
from offtui.worker import ledger, llama
from offtui.worker.failures import WorkerError, diagnose
from offtui.worker.header import UnreadableModel, read_header
from offtui.worker.llama import api
from offtui.worker.logring import LogRing
from offtui.worker.parameters import add_rpc_devices, context_parameters, model_parameters, model_path

_KV_INT, _KV_STR = 0, 3
_CACHE = re.compile(r"llama_(?:kv_cache|memory_recurrent): size =\s+([\d.]+) MiB")
"""The total of one cache; under ``no_alloc`` the per-device lines say 0."""


def dry_loads(request: DryRequest, log: LogRing) -> Iterator[DryResult]:
    """Try the points one after the other in this process."""
    try:
        header = read_header(request.spec.model)
        add_rpc_devices(request.spec.rpc, log)
    except (WorkerError, UnreadableModel) as error:
        for point in request.points:
            yield DryResult(point, failure=error.failure)
        return
    # a model without a vocabulary loads in a tenth of the time, and needs the same memory
    overrides = _overrides(header.arch, header.n_vocab)
    for point in request.points:
        log.clear()
        try:
            yield _dry_load(request.spec, point, overrides, log)
        except WorkerError as error:
            yield DryResult(point, failure=error.failure)


def devices(endpoints: Sequence[str], log: LogRing) -> DevicesReply:
    """Every device of this process, those of the RPC endpoints among them."""
    try:
        add_rpc_devices(endpoints, log)
    except WorkerError as error:
        return DevicesReply(devices=(), failure=error.failure)
    return DevicesReply(devices=llama.all_device_facts())


def _dry_load(spec: LoadSpec, point: DryPoint, overrides: Any, log: LogRing) -> DryResult:
    parameters = model_parameters(spec, point.n_gpu_layers, point.on_cpu)
    parameters.no_alloc = True
    parameters.load_mode = llama.LOAD_MODE_NONE  # any other asserts under no_alloc
    parameters.kv_overrides = overrides
    model = api.llama_model_load_from_file(model_path(spec), parameters)
    if not model:
        raise diagnose(log.errors or log.lines, "llama.cpp would not load it")
    try:
        context = api.llama_init_from_model(model, context_parameters(spec, spec.flash_attn))
        if not context:
            raise diagnose(log.errors or log.lines, "llama.cpp would not create the context")
        result = _result(spec, point, log.lines)
        api.llama_free(context)
        return result
    finally:
        api.llama_model_free(model)


def _overrides(arch: str, n_vocab: int) -> Any:
    rows: Any = (api.llama_model_kv_override * 3)()
    rows[0].tag, rows[0].key = _KV_STR, b"tokenizer.ggml.model"
    rows[0].value.val_str = b"none"
    rows[1].tag, rows[1].key = _KV_INT, f"{arch}.vocab_size".encode()[:127]
    rows[1].value.val_i64 = n_vocab
    return rows


def _result(spec: LoadSpec, point: DryPoint, lines: list[str]) -> DryResult:
    facts = llama.all_device_facts()
    compute: dict[str, int] = {}
    host = output = 0
    for name, sizes in ledger.buffers(lines).items():
        device = ledger.device_of(name, facts)
        output += sizes.get("output", 0)
        if device is None:
            host += sizes.get("compute", 0)
        elif sizes.get("compute"):
            compute[device.name] = sizes["compute"]
    layers: dict[str, int] = {}
    for name in ledger.assigned_layers(lines).values():
        layers[name] = layers.get(name, 0) + 1
    return DryResult(
        point,
        compute=compute,
        host=host,
        output=output,
        kv=sum(round(float(match[1]) * MIB) for line in lines if (match := _CACHE.match(line))),
        layers=layers,
        flash_attn=ledger.flash_attn(lines, spec.flash_attn),
    )


def main() -> int:
    """Serve one request."""
    os.environ["GGML_NO_BACKTRACE"] = "1"  # else an abort starts a debugger first
    out = os.dup(1)
    os.dup2(2, 1)  # what native code prints is log
    log = LogRing()
    log.install()
    if sys.argv[1:2] == ["--devices"]:
        os.write(out, msgspec.json.encode(devices(sys.argv[2:], log)) + b"\n")
        sys.stderr.flush()
        os._exit(0)
    try:
        request = msgspec.json.decode(sys.stdin.buffer.read(), type=DryRequest)
    except msgspec.MsgspecError as error:
        print(f"offtui: not a dry load request: {clean_line(str(error))}", file=sys.stderr)
        return 2
    for result in dry_loads(request, log):
        os.write(out, msgspec.json.encode(result) + b"\n")
    sys.stderr.flush()
    os._exit(0)  # skips native destructors, which can hang on a lost device


if __name__ == "__main__":
    sys.exit(main())
