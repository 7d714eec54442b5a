"""The shape of a model's layers as llama.cpp derives it from a header: heads, widths, windows, recurrent state."""

import msgspec

from offtui.gguf.header import Header
from offtui.plan import architectures as known

MAX_WIDTH = 1 << 20
"""Of any dimension in a header; larger ones are nonsense."""


class Layer(msgspec.Struct, frozen=True):
    """One block's part in cache and state."""

    k: int
    """Values per token in the K cache (``n_embd_k_gqa``); 0 without a cache."""
    v: int
    """Values per token in the V cache; 0 without one, as with latent attention."""
    windowed: bool
    """Whether it looks back ``n_swa`` tokens only."""
    state: int
    """Bytes of recurrent state per sequence; 0 without."""


class Geometry(msgspec.Struct, frozen=True, kw_only=True):
    """Everything the arithmetic needs besides the tensors' sizes."""

    arch: str
    known: bool
    """Whether KV and compute are arithmetic that was checked; else they are guesses, and only weights are exact."""
    n_layer: int
    """Blocks, MTP ones among them (``n_layer_all``)."""
    n_nextn: int
    n_embd: int
    n_vocab: int
    n_head: int
    """Most of any layer."""
    head_k: int
    n_head_kv: int
    n_ff: int
    """Most of any layer; of mixtures of experts the dense layers' own."""
    n_ff_exp: int
    n_expert: int
    n_expert_used: int
    n_embd_per_layer: int
    """Width of the embeddings that each layer gets of its own (Gemma 3n and 4); 0 elsewhere."""
    n_swa: int
    """Tokens of the attention window; 0 where no layer has one."""
    v_max: int
    """Widest V of any layer: what every layer gets where V is transposed and widths differ."""
    soft_cap: bool
    """Whether attention scores are capped (Gemma 2, Grok)."""
    layers: tuple[Layer, ...]

    @property
    def n_layers_max(self) -> int:
        """The most ``n_gpu_layers`` that makes a difference."""
        return self.n_layer + 1


def geometry(header: Header) -> Geometry:
    """The geometry of a model; what the header lacks is 0, never an error."""
    arch = header.get_str("general.architecture")
    n_layer, n_nextn = header.n_layer, header.n_layer_nextn
    n_embd = header.arch_int("embedding_length", high=MAX_WIDTH)
    heads = _widths(header, "attention.head_count", n_layer)
    heads_kv = _widths(header, "attention.head_count_kv", n_layer, heads)
    n_ff = _widths(header, "feed_forward_length", n_layer)
    head = n_embd // heads[0] if heads and heads[0] else 0
    head_k = header.arch_int("attention.key_length", head, high=MAX_WIDTH)
    head_v = header.arch_int("attention.value_length", head, high=MAX_WIDTH)
    head_k_swa = header.arch_int("attention.key_length_swa", head_k, high=MAX_WIDTH)
    head_v_swa = header.arch_int("attention.value_length_swa", head_v, high=MAX_WIDTH)
    recurrent = _recurrent(header, arch, n_layer, n_nextn, heads_kv, n_ff)
    windowed, n_swa = _windows(header, arch, n_layer, n_nextn, recurrent)
    latent = arch in known.LATENT and header.arch_int("attention.key_length_mla") > 0
    owners = _cache_owners(header, arch, n_layer, n_nextn, recurrent, n_ff)
    state = 4 * (_state_r(header, n_embd, heads) + _state_s(header, arch, n_embd, heads, head_k))
    layers = tuple(
        Layer(
            k=heads_kv[il] * (head_k_swa if windowed[il] else head_k) if owners[il] else 0,
            v=heads_kv[il] * (head_v_swa if windowed[il] else head_v) if owners[il] and not latent else 0,
            windowed=windowed[il],
            state=state if recurrent[il] else 0,
        )
        for il in range(n_layer)
    )
    expert_ff = max(_widths(header, "expert_feed_forward_length", n_layer), default=0)
    n_expert = header.arch_int("expert_count", high=1024)
    return Geometry(
        arch=arch,
        known=arch in known.KNOWN and arch not in known.UNKNOWN,
        n_layer=n_layer,
        n_nextn=n_nextn,
        n_embd=n_embd,
        n_vocab=header.n_vocab,
        n_head=max(heads, default=0),
        head_k=max(head_k, head_k_swa),
        n_head_kv=max(heads_kv, default=0),
        n_ff=max(n_ff, default=0),
        n_ff_exp=expert_ff or (max(n_ff, default=0) if n_expert else 0),
        n_expert=n_expert,
        n_expert_used=max(_widths(header, "expert_used_count", n_layer), default=0),
        n_embd_per_layer=header.arch_int("embedding_length_per_layer_input", high=MAX_WIDTH),
        n_swa=n_swa,
        v_max=max((heads_kv[il] * (head_v_swa if windowed[il] else head_v) for il in range(n_layer)), default=0),
        soft_cap=arch in ("gemma2", "grok") and header.get_float(header.arch_key("attn_logit_softcapping"), 50.0) != 0,
        layers=layers,
    )


def _widths(header: Header, key: str, count: int, default: tuple[int, ...] = ()) -> tuple[int, ...]:
    name = header.arch_key(key)
    if default and name not in header.metadata:
        return default
    return tuple(value if 0 <= value <= MAX_WIDTH else 0 for value in header.get_ints(name, count))


def _windows(header: Header, arch: str, n_layer: int, n_nextn: int, recurrent: list[bool]) -> tuple[list[bool], int]:
    """Which layers have an attention window, and its tokens; all ``False`` and 0 where there is none."""
    none = [False] * n_layer
    rule = known.WINDOWS.get(arch)
    if arch == "exaone4" and n_layer - n_nextn == 64:
        rule = known.Window(4, default=4096)
    tokens = header.arch_int("attention.sliding_window", -1)
    if arch in ("lfm2", "lfm2moe"):
        return ([not is_recurrent for is_recurrent in recurrent], tokens) if tokens > 0 else (none, 0)
    if rule is None:
        return none, 0
    if tokens < 0:
        tokens = rule.default
    elif tokens and arch in known.FIXED_WINDOWS:
        tokens = known.FIXED_WINDOWS[arch]
    if tokens == 0:
        return none, 0
    name = header.arch_key("attention.sliding_window_pattern")
    pattern = header.metadata.get(name)
    if isinstance(pattern, tuple):
        flags = [bool(flag) for flag in pattern[:n_layer]]
        return flags + [False] * (n_layer - len(flags)), tokens
    period = header.arch_int("attention.sliding_window_pattern", rule.period)
    trunk = range(n_layer - n_nextn)
    if rule.dense_first:
        flags = [period == 0 or il % period != 0 for il in trunk]
    else:
        flags = [period == 0 or il % period < period - 1 for il in trunk]
    flags += [False] * n_nextn
    return (flags, tokens) if any(flags) else (none, 0)


def _recurrent(
    header: Header, arch: str, n_layer: int, n_nextn: int, heads_kv: tuple[int, ...], n_ff: tuple[int, ...]
) -> list[bool]:
    """Which layers have recurrent state."""
    trunk = n_layer - n_nextn
    if arch in known.RECURRENT or arch in known.BOTH:
        return [il < trunk for il in range(n_layer)]
    if arch in known.INTERVALS:
        name = header.arch_key("attention.recurrent_layers")
        if name in header.metadata:
            return [bool(flag) and il < trunk for il, flag in enumerate(header.get_ints(name, n_layer))]
        interval = header.arch_int("full_attention_interval", known.INTERVALS[arch], low=1)
        return [il < trunk and (il + 1) % interval != 0 for il in range(n_layer)]
    if arch in known.BY_HEADS:
        no_ff = arch.startswith("nemotron")
        return [il < trunk and heads_kv[il] == 0 and (not no_ff or n_ff[il] == 0) for il in range(n_layer)]
    return [False] * n_layer


def _cache_owners(
    header: Header, arch: str, n_layer: int, n_nextn: int, recurrent: list[bool], n_ff: tuple[int, ...]
) -> list[bool]:
    """Which layers own a KV cache."""
    if arch in known.RECURRENT or arch in known.NO_CACHE:
        return [False] * n_layer
    trunk = n_layer - n_nextn
    if arch == "gemma4":
        trunk = min(trunk, n_layer - header.arch_int("attention.shared_kv_layers", high=n_layer))
    trunk = min(trunk, known.SHARED_KV.get(arch, trunk))
    if arch in known.BOTH:
        return [il < trunk for il in range(n_layer)]
    no_ff = arch.startswith("nemotron_h")
    return [il < trunk and not recurrent[il] and (not no_ff or n_ff[il] == 0) for il in range(n_layer)]


def _state_r(header: Header, n_embd: int, heads: tuple[int, ...]) -> int:
    """Values of the rolling state of one recurrent layer (``n_embd_r``)."""
    if header.arch_int("wkv.head_size") > 0:
        return header.arch_int("token_shift_count", 2) * n_embd
    if (cache := header.arch_int("shortconv.l_cache")) > 0:
        return n_embd * (cache - 1)
    kernel = header.arch_int("ssm.conv_kernel")
    if (head := header.arch_int("kda.head_dim")) > 0:
        return 3 * (kernel - 1 if kernel > 0 else 3) * (heads[0] if heads else 0) * head
    inner, groups = header.arch_int("ssm.inner_size"), header.arch_int("ssm.group_count")
    return max(kernel - 1, 0) * (inner + 2 * groups * header.arch_int("ssm.state_size"))


def _state_s(header: Header, arch: str, n_embd: int, heads: tuple[int, ...], head_k: int) -> int:
    """Values of the recurrent state of one layer (``n_embd_s``)."""
    if (size := header.arch_int("wkv.head_size")) > 0:
        return n_embd * size
    head = header.arch_int("kda.head_dim") or (head_k if arch == "minimax-01" else 0)
    if head > 0:
        return head * head * (heads[0] if heads else 0)
    return header.arch_int("ssm.state_size") * header.arch_int("ssm.inner_size")
