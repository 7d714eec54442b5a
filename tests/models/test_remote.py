from offtui.hub.names import Offer
from offtui.hub.wire import HubFailure, RemoteFile
from offtui.models.fitting import Fitting, Here
from offtui.models.recommended import recommended
from offtui.models.remote import Planned, best, none_fits
from offtui.protocol.facts import DeviceFacts
from offtui.units import GIB

PARAMS = 8 * 10**9


def planned(quant: str, bits: float, layers: int, tps: float, *, fits: bool = True, ram: bool = True) -> Planned:
    size = int(PARAMS * bits / 8)
    offer = Offer(f"m-{quant}", quant, "model", (RemoteFile(name=f"m-{quant}.gguf", bytes=size, sha256="0" * 64),))
    share = layers / 37
    fitting = Fitting(
        n_gpu_layers=layers, most=37, has_device=True, fits=fits, fits_ram=ram, vram=int(size * share),
        ram=int(size * (1 - share)), low=tps / 2, tps=tps, high=tps * 2, is_measured=False, why="because", n_ctx=8192,
    )  # fmt: skip
    return Planned(offer, fitting, PARAMS)


def named(plans: list[Planned]) -> tuple[str, str]:
    choice = best(plans)
    assert choice is not None
    return choice[0].offer.quant, choice[1]


def test_the_most_precise_whose_layers_all_fit_is_best() -> None:
    plans = [planned("Q4_K_M", 4.8, 37, 50), planned("Q6_K", 6.6, 37, 40), planned("Q8_0", 8.5, 30, 20)]
    quant, why = named(plans)
    assert quant == "Q6_K"
    assert "all layers fit" in why
    assert named([*plans, planned("F16", 16.0, 37, 30)])[0] == "Q6_K", "nothing is gained beyond eight bits"


def test_where_none_fits_wholly_the_most_precise_quick_one_is() -> None:
    plans = [planned("Q2_K", 3.1, 37, 40), planned("Q4_K_M", 4.8, 30, 15), planned("Q6_K", 6.6, 20, 11),
             planned("Q8_0", 8.5, 10, 5)]  # fmt: skip
    assert named(plans)[0] == "Q6_K"
    slow = [planned("Q4_K_M", 4.8, 9, 3), planned("Q8_0", 8.5, 4, 2)]
    assert named(slow)[0] == "Q4_K_M"


def test_what_does_not_run_is_never_best() -> None:
    lost = Planned(planned("Q5_K_M", 5.5, 0, 1).offer, failure=HubFailure("no_network", "gone"))
    none = [planned("Q8_0", 8.5, 0, 5, fits=False), planned("Q4_0", 4.5, 0, 9, ram=False), lost]
    assert best(none) is None
    assert "4.2 GiB" in none_fits(none, Here((), 2 * GIB))
    assert best([]) is None


def test_what_is_recommended_fits_and_the_list_says_of_when_it_is() -> None:
    cpu = DeviceFacts("CPU", "cpu", "", 12 * GIB, 16 * GIB)
    gpu = DeviceFacts("CUDA0", "gpu", "", 8 * GIB, 8 * GIB)
    found = recommended(Here((cpu, gpu), 12 * GIB))
    assert found.as_of
    sizes = [model.size for model in found.model]
    assert sizes[0] == max(size for size in sizes if size + 1.2 <= 8), "the largest that fits the card comes first"
    assert max(sizes) + 1.2 <= 8 + 12
    small = recommended(Here((cpu,), 3 * GIB))
    assert all(model.size < 3 for model in small.model)
    assert recommended(None).model
