"""``python -m offtui.worker --fd N``: serve frames on an inherited socket. ``--describe``: what llama.cpp has here."""

import argparse
import ctypes
import json
import os
import signal
import socket
import sys


def main() -> int:
    """Run one worker; its exit code."""
    parser = argparse.ArgumentParser(prog="python -m offtui.worker")
    mode = parser.add_mutually_exclusive_group(required=True)
    mode.add_argument("--fd", type=int, help="an inherited socket to speak the protocol on")
    mode.add_argument("--describe", action="store_true", help="print backends and devices as one line of JSON")
    mode.add_argument("--serve", metavar="ENDPOINT", help="serve this machine's devices over RPC")
    parser.add_argument("--threads", type=int, default=None)
    arguments = parser.parse_args()
    if arguments.describe:
        return _describe()
    _die_with_parent()
    if arguments.serve is not None:
        return _serve(arguments.serve, arguments.threads)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C is the parent's
    connection = socket.socket(fileno=arguments.fd)
    connection.set_inheritable(False)
    os.dup2(2, 1)  # what native code prints is log, never a frame
    from offtui.worker.loop import Worker

    code = Worker(connection).run()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # skips native destructors, which can hang on a lost device; the system frees the memory


def _describe() -> int:
    out = os.dup(1)
    os.dup2(2, 1)
    import msgspec

    from offtui.worker import llama

    facts = {
        "llama_cpp": llama.VERSION,
        "backends": llama.backends(),
        "devices": [msgspec.to_builtins(device) for device in llama.all_device_facts()],
    }
    os.write(out, json.dumps(facts).encode() + b"\n")
    return 0


def _serve(endpoint: str, threads: int | None) -> int:
    from offtui.worker import llama
    from offtui.worker.threads import default_threads

    if not llama.has_rpc():
        print("offtui: the installed llama.cpp was built without RPC", file=sys.stderr)
        return 3
    every = llama.devices()
    facts = [llama.device_facts(device) for device in every]
    served = [device for device, fact in zip(every, facts, strict=True) if fact.kind in ("gpu", "igpu")]
    if not served:
        served = [device for device, fact in zip(every, facts, strict=True) if fact.kind == "cpu"][:1]
    llama.serve_rpc(endpoint, threads or default_threads(), served)
    return 1  # it returns only when the socket cannot be opened


def _die_with_parent() -> None:
    """On Linux: be killed when the parent dies, however it dies."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main())
