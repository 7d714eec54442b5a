"""llama.cpp alone, in a fresh process: what the app is measured against. Prints one line of JSON.

The same library, sampler chain and threads as offtui's worker, and nothing else: no pipe, no text, no screen.
"""

import argparse
import ctypes
import json
import time
from typing import Any

from llama_cpp import llama_cpp as api

PROMPT = 32
"""Tokens of the prompt, whose values do not matter."""


def main() -> None:
    """Load, decode, and print the seconds each took."""
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("--ngl", type=int, default=0)
    parser.add_argument("--ctx", type=int, default=8192)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--tokens", type=int, default=1)
    parser.add_argument("--temp", type=float, default=0.8)
    parser.add_argument("--rpc", default=None)
    arguments = parser.parse_args()
    quiet = api.llama_log_callback(lambda *_: None)
    api.llama_log_set(quiet, ctypes.c_void_p(0))
    started = time.perf_counter()
    if arguments.rpc:
        add_rpc(arguments.rpc)
    _model, context = load(arguments)
    decode(context, [1])
    loaded = time.perf_counter()
    api.llama_memory_clear(api.llama_get_memory(context), True)
    decode(context, list(range(10, 10 + PROMPT)))
    chain = sampler(arguments.temp)
    first = time.perf_counter()
    one = (ctypes.c_int32 * 1)()
    for index in range(arguments.tokens):
        one[0] = api.llama_sampler_sample(chain, context, -1)
        if index == 0:
            first = time.perf_counter()
        if index + 1 < arguments.tokens:
            api.llama_decode(context, api.llama_batch_get_one(one, 1))
    last = time.perf_counter()
    tps = (arguments.tokens - 1) / (last - first) if arguments.tokens > 1 else None
    print(json.dumps({"load_s": loaded - started, "tps": tps}), flush=True)


def load(arguments: argparse.Namespace) -> tuple[Any, Any]:
    """The model and a context, with the parameters offtui uses."""
    parameters = api.llama_model_default_params()
    parameters.n_gpu_layers = arguments.ngl
    parameters.load_mode = 1
    model = api.llama_model_load_from_file(arguments.model.encode(), parameters)
    settings = api.llama_context_default_params()
    settings.n_ctx = arguments.ctx
    settings.n_outputs_max = 1
    settings.n_threads = settings.n_threads_batch = arguments.threads
    settings.flash_attn_type = -1
    settings.swa_full = False
    return model, api.llama_init_from_model(model, settings)


def sampler(temperature: float) -> Any:
    """The chain of offtui's defaults, with a fixed seed."""
    chain = api.llama_sampler_chain_init(api.llama_sampler_chain_default_params())
    parts: list[Any] = [api.llama_sampler_init_greedy()]
    if temperature > 0:
        parts = [
            api.llama_sampler_init_top_k(40),
            api.llama_sampler_init_top_p(0.95, 1),
            api.llama_sampler_init_min_p(0.05, 1),
            api.llama_sampler_init_temp(temperature),
            api.llama_sampler_init_dist(1),
        ]
    for part in parts:
        api.llama_sampler_chain_add(chain, part)
    return chain


def decode(context: Any, tokens: list[int]) -> None:
    """One llama_decode."""
    api.llama_decode(context, api.llama_batch_get_one((ctypes.c_int32 * len(tokens))(*tokens), len(tokens)))
    api.llama_synchronize(context)


def add_rpc(endpoint: str) -> None:
    """Register an RPC server's devices."""
    lib = getattr(api, "_lib")  # noqa: B009
    lib.ggml_backend_rpc_add_server.restype = ctypes.c_void_p
    lib.ggml_backend_register.argtypes = [ctypes.c_void_p]
    lib.ggml_backend_register(lib.ggml_backend_rpc_add_server(endpoint.encode()))


if __name__ == "__main__":
    main()
