"""Loading a model: devices, header, layers, weights, context, warm-up; and the truth about the outcome."""

import ctypes
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from offtui.gguf.header import Header
from offtui.memory import ram_available
from offtui.plan.decide import Decision, decide, device_budgets
from offtui.plan.placement import for_llama_cpp, whole_layers
from offtui.plan.pretend import within
from offtui.plan.table import Row
from offtui.plan.target import offload_devices
from offtui.protocol.events import Loaded, LoadProgress, LoadStep
from offtui.protocol.facts import DeviceFacts, ModelFacts, no_chat_model
from offtui.protocol.requests import Load
from offtui.protocol.spec import FlashAttn, LoadSpec, Placement
from offtui.text import clean_line
from offtui.units import size_text
from offtui.worker import layout, ledger, llama
from offtui.worker.failures import WorkerError, diagnose, fail
from offtui.worker.header import UnreadableModel, read_header
from offtui.worker.llama import api
from offtui.worker.logring import LogRing
from offtui.worker.parameters import add_rpc_devices, context_parameters, model_parameters, model_path
from offtui.worker.sampling import file_defaults
from offtui.worker.template import ChatTemplate
from offtui.worker.threads import default_threads
from offtui.worker.vocab import VOCAB_NONE, Vocab

DEFAULT_CONTEXT: Final = 8192
"""Tokens of context at most where none is asked for; the model's own where that is less."""

AWAIT_SECONDS: Final = 2.0
"""How long the memory of an earlier process is waited for at most."""

CONTEXT_STEP: Final = 256
"""llama.cpp's caches have a multiple of so many cells."""

PROGRESS_SECONDS: Final = 1.0
"""Progress is told at least so often while there is some, however little."""


class Flags:
    """What the control thread tells the thread that works: one byte that libc can read, without the GIL."""

    def __init__(self) -> None:
        self.abort = ctypes.create_string_buffer(2)
        self.load_cancelled = False
        self.evaluating = False
        """Many tokens are being decoded, which takes longer than a pause may wait."""

    def raise_abort(self) -> None:
        """Make ``llama_decode`` on the CPU return within milliseconds."""
        self.abort[0] = b"\x01"

    def lower_abort(self) -> None:
        """Let ``llama_decode`` run again."""
        self.abort[0] = b"\x00"


class LoadedModel:
    """A model with its context, ready to decode. Everything in it is llama.cpp's and lives until ``close``."""

    def __init__(self, model: Any, context: Any, vocab: Vocab, template: ChatTemplate, loaded: Loaded) -> None:
        self.context = context
        self.vocab = vocab
        self.template = template
        self.loaded = loaded
        self.memory: Any = api.llama_get_memory(context)
        self.n_swa: int = api.llama_model_n_swa(model)
        """Tokens of the sliding window; 0 without one."""
        self._model = model

    def close(self) -> None:
        """Free the context and the weights."""
        api.llama_free(self.context)
        api.llama_model_free(self._model)


class Loader:
    """One load, in steps; each step that fails raises a ``WorkerError`` and leaves nothing behind but the process."""

    def __init__(self, request: Load, log: LogRing, flags: Flags, report: Callable[[LoadProgress], None]) -> None:
        self._spec = request.spec
        self._flash_attn: FlashAttn = request.spec.flash_attn
        if self._flash_attn == "auto" and request.keep_flash_attn is not None:
            self._flash_attn = "on" if request.keep_flash_attn else "off"
        self._await_free = request.await_free
        self._left = request.left
        self._learned = request.learned
        self._log = log
        self._flags = flags
        self._report = report
        self._notices: list[str] = []
        self._rows: Sequence[Row] = ()

    def run(self) -> LoadedModel:
        """Load as the spec says.

        Raises:
            WorkerError: with the failure that a person is told.
        """
        started = time.monotonic()
        self._log.clear()
        self._step("devices")
        self._add_devices()
        self._await_memory()
        self._step("header")
        header = self._read_header()
        self._step("plan")
        devices = llama.all_device_facts()
        before = {device.name: device.free for device in devices}
        n_ctx = self._context_length(header)
        decision = self._decide(header, devices, n_ctx)
        spec = msgspec.structs.replace(
            self._spec,
            n_gpu_layers=decision.n_gpu_layers,
            placement=decision.placement,
            n_ctx=n_ctx,
            n_threads=self._spec.n_threads or default_threads(),
            n_threads_batch=self._spec.n_threads_batch or self._spec.n_threads or default_threads(),
        )
        self._check_ram(spec, decision)
        self._check_budget(spec, decision, devices)
        model = self._load_weights(spec, header.n_layer)
        vocab = self._vocab(model)
        self._step("context")
        context = self._create_context(model, spec)
        template = self._template(model, vocab)
        self._step("warmup")
        self._warm_up(context, vocab)
        loaded = self._truth(model, context, spec, header, started, template)
        loaded = msgspec.structs.replace(loaded, overhead=_overhead(before, loaded))
        return LoadedModel(model, context, vocab, template, loaded)

    def _add_devices(self) -> None:
        """Those of other machines."""
        found: list[str] = []
        for endpoint in self._spec.rpc:
            try:
                add_rpc_devices((endpoint,), self._log, self._left, lambda: self._step("devices"))
            except WorkerError as error:
                if not self._spec.rpc_as_found or error.failure.kind == "cancelled":
                    raise
                self._notices.append(f"Without the RPC device {clean_line(endpoint, 200)}: {error.failure.message}")
            else:
                found.append(endpoint)
        self._spec = msgspec.structs.replace(self._spec, rpc=tuple(found))

    def _step(self, step: LoadStep, fraction: float = 0.0) -> None:
        if self._flags.load_cancelled:
            raise fail("cancelled", "The load was cancelled.")
        self._report(LoadProgress(step, fraction))

    def _await_memory(self) -> None:
        """Give a driver the moment it needs to take back what an earlier process held."""
        deadline = time.monotonic() + AWAIT_SECONDS
        while self._await_free and time.monotonic() < deadline:
            free = {device.name: device.free for device in llama.all_device_facts() if device.free is not None}
            if all(free[name] >= wanted for name, wanted in self._await_free.items() if name in free):
                return
            self._step("devices")
            time.sleep(0.02)

    def _read_header(self) -> Header:
        try:
            header = read_header(self._spec.model)
        except UnreadableModel as error:
            raise WorkerError(error.failure) from error
        failure = no_chat_model(header.kind, clean_line(Path(self._spec.model).name, 300), header.arch)
        if failure is not None:
            raise WorkerError(failure)
        return header

    def _decide(self, header: Header, devices: tuple[DeviceFacts, ...], n_ctx: int) -> Decision:
        """Placement and layers to ask llama.cpp for; what the plan chooses where they are left open."""
        most = header.n_layer + 1
        wanted = self._spec.n_gpu_layers
        if wanted is not None and not 0 <= wanted <= most:
            raise fail(
                "out_of_range", f"{wanted} layers cannot be offloaded: this model has {most}, so ask for 0 to {most}."
            )
        spec = msgspec.structs.replace(self._spec, n_ctx=n_ctx)
        decision = decide(header, spec, within(devices, spec.vram_budget), ram_available(), self._learned)
        self._notices += decision.notices if offload_devices(devices) else [self._no_device(most)]
        return decision

    def _check_ram(self, spec: LoadSpec, decision: Decision) -> None:
        """Refuse what the RAM cannot hold by the plan: the system would not refuse it, but kill a process later."""
        self._rows = decision.table.rows
        row = self._rows[decision.n_gpu_layers]
        ram, need = row.ram, row.resident(use_mmap=spec.use_mmap)
        available = ram_available()
        if need > available:
            raise fail(
                "out_of_memory",
                f"KV cache and compute buffers need {size_text(need)} of RAM, and {size_text(available)} is free.",
                evidence=f"n_ctx {spec.n_ctx}: KV cache {size_text(ram.kv)}, compute {size_text(ram.compute)}",
                advice="Take a smaller context (--ctx), or a quantised KV cache.",
            )

    def _check_budget(self, spec: LoadSpec, decision: Decision, devices: tuple[DeviceFacts, ...]) -> None:
        """Refuse what a device of the size that is pretended would refuse."""
        layers = decision.n_gpu_layers
        have = device_budgets(within(devices, spec.vram_budget), margin=0)
        for budget, need in zip(have, decision.table.rows[layers].devices, strict=True):
            if spec.vram_budget is not None and budget.bytes is not None and need.total > budget.bytes:
                sizes = f"{size_text(need.total)} on {budget.name}, and the budget leaves {size_text(budget.bytes)}"
                advice = "Offload fewer layers, or raise the budget (/budget)."
                raise fail("out_of_memory", f"{layers} layers need {sizes}.", advice=advice)

    def _no_device(self, most: int) -> str:
        built = [name for name in llama.backends() if name not in ("CPU", "BLAS")]
        if not built:
            why = "the installed llama.cpp was built for the CPU only"
        elif built == ["RPC"]:
            why = "the installed llama.cpp was built for the CPU and RPC, and no --rpc device is given"
        else:
            why = f"the backends {', '.join(built)} found none"
        return f"No GPU device: 0 of {most} layers can be offloaded; {why}. `offtui doctor` says what to do."

    def _context_length(self, header: Header) -> int:
        trained = header.n_ctx_train
        wanted = self._spec.n_ctx or min(trained or DEFAULT_CONTEXT, DEFAULT_CONTEXT)
        if wanted % CONTEXT_STEP:
            # llama.cpp rounds up itself, but counts its batches by the number as it came, and aborts on longer ones.
            wanted += CONTEXT_STEP - wanted % CONTEXT_STEP
            if self._spec.n_ctx:
                self._notices.append(f"The context is {wanted}: {self._spec.n_ctx} rounded up to a multiple of 256.")
        if trained and wanted > trained:
            self._notices.append(f"The context of {wanted} is longer than the {trained} the model was trained for.")
        return wanted

    def _load_weights(self, spec: LoadSpec, n_layer: int) -> Any:
        placement: Placement = "layers" if spec.placement == "best" else spec.placement
        layers, kept = for_llama_cpp(placement, spec.n_gpu_layers or 0, n_layer)
        parameters = model_parameters(spec, layers, (*kept, *spec.on_cpu))
        self._step("weights")  # before the file is mapped: reading it from a slow disk takes minutes without a word
        last, told = 0.0, time.monotonic()

        def progress(fraction: float, _user_data: object) -> bool:
            nonlocal last, told
            now = time.monotonic()
            if fraction - last >= 0.01 or fraction >= 1.0 or (fraction > last and now - told >= PROGRESS_SECONDS):
                last, told = fraction, now
                self._report(LoadProgress("weights", fraction))
            return not self._flags.load_cancelled

        callback = api.llama_progress_callback(progress)
        parameters.progress_callback = callback
        model = api.llama_model_load_from_file(model_path(spec), parameters)
        if not model:
            if self._flags.load_cancelled:
                raise fail("cancelled", "The load was cancelled.")
            raise diagnose(self._log.errors or self._log.lines, f"llama.cpp cannot load {Path(spec.model).name}")
        return model

    def _vocab(self, model: Any) -> Vocab:
        vocab = Vocab(model)
        if vocab.type == VOCAB_NONE or vocab.size <= 0:
            raise fail("no_tokenizer", f"{Path(self._spec.model).name} has no tokenizer, so it cannot chat.")
        if api.llama_model_has_encoder(model):
            raise fail("unsupported", "Models with an encoder (T5 and the like) cannot chat here.")
        return vocab

    def _create_context(self, model: Any, spec: LoadSpec) -> Any:
        parameters = context_parameters(spec, self._flash_attn)
        parameters.n_threads = spec.n_threads
        parameters.n_threads_batch = spec.n_threads_batch
        parameters.no_perf = False
        parameters.abort_callback = llama.strlen_callback(api.ggml_abort_callback)
        parameters.abort_callback_data = ctypes.cast(self._flags.abort, ctypes.c_void_p)
        context = api.llama_init_from_model(model, parameters)
        if not context:
            raise diagnose(self._log.errors or self._log.lines, "llama.cpp cannot create the context")
        return context

    def _template(self, model: Any, vocab: Vocab) -> ChatTemplate:
        raw: bytes | None = api.llama_model_chat_template(model, None)
        source = raw.decode("utf-8", "replace") if raw else None
        template = ChatTemplate(source, vocab.text(vocab.bos), vocab.text(vocab.eos), vocab.has)
        if template.notice:
            self._notices.append(clean_line(template.notice, 300))
        return template

    def _warm_up(self, context: Any, vocab: Vocab) -> None:
        """Decode one token and forget it: faults the weights in, and finds out now whether decoding works."""
        token = vocab.bos if vocab.bos is not None else vocab.eos if vocab.eos is not None else 0
        tokens = (ctypes.c_int32 * 1)(token)
        status: int = api.llama_decode(context, api.llama_batch_get_one(tokens, 1))
        if self._flags.load_cancelled:
            raise fail("cancelled", "The load was cancelled.")
        if status != 0:
            raise diagnose(self._log.errors, f"llama.cpp cannot decode with this model (status {status})")
        api.llama_synchronize(context)
        api.llama_memory_clear(api.llama_get_memory(context), True)
        api.llama_perf_context_reset(context)

    def _truth(
        self, model: Any, context: Any, spec: LoadSpec, header: Header, started: float, template: ChatTemplate
    ) -> Loaded:
        lines = self._log.lines
        memory = llama.all_device_facts()
        asked = spec.n_gpu_layers or 0
        truth = ledger.ledger(lines, memory, asked, header.n_layer + 1)
        layers = msgspec.structs.replace(truth.layers, got=whole_layers(truth.layers.got, lines))
        flash_attn = ledger.flash_attn(lines, self._flash_attn)
        facts = ModelFacts(
            path=self._spec.model,
            name=clean_line(header.name, 200) or clean_line(Path(self._spec.model).stem, 200),
            arch=clean_line(header.arch, 60),
            quant=clean_line(header.quant, 60),
            n_layer=header.n_layer,
            n_ctx_train=header.n_ctx_train,
            n_params=api.llama_model_n_params(model),
            file_bytes=header.file_bytes,
            n_vocab=api.llama_vocab_n_tokens(api.llama_model_get_vocab(model)),
            n_embd=api.llama_model_n_embd(model),
            has_template=not template.notice,
        )
        return Loaded(
            model=facts,
            spec=spec,
            layers=layers,
            devices=truth.devices,
            memory=memory,
            n_ctx=api.llama_n_ctx(context),
            flash_attn=flash_attn,
            sampling=file_defaults(lambda key: _metadata(model, key)),
            notices=tuple(clean_line(notice, 500) for notice in self._notices),
            load_seconds=time.monotonic() - started,
            layout=layout.layout(spec, flash_attn),
            ladder=tuple(row.vram.total for row in self._rows),
            ram_ladder=tuple(row.resident(use_mmap=spec.use_mmap) for row in self._rows),
            can_think=template.knows_thinking,
        )


def _overhead(before: Mapping[str, int | None], loaded: Loaded) -> dict[str, int]:
    """What is gone of each device's memory and is in no buffer; of RAM nobody can say."""
    ours = {entry.name: entry.total for entry in loaded.devices if entry.kind == "gpu"}
    found: dict[str, int] = {}
    for device in loaded.memory:
        had = before.get(device.name)
        if device.name in ours and ours[device.name] and had is not None and device.free is not None:
            found[device.name] = had - device.free - ours[device.name]
    return found


def _metadata(model: Any, key: str) -> str | None:
    buffer = ctypes.create_string_buffer(256)
    size: int = api.llama_model_meta_val_str(model, key.encode(), buffer, len(buffer))
    return buffer.value.decode("utf-8", "replace") if size >= 0 else None
