import msgspec
import pytest

from offtui.hub.wire import Found, RemoteFile, Repo
from offtui.models.downloads import Job
from offtui.ui.panes.hub_rows import found_text, job_lines, jobs_title, repo_lines
from offtui.units import GIB, MIB

FILE = RemoteFile(name="a-very-long-name-of-a-model-Q4_K_M.gguf", bytes=4 * GIB, sha256="0" * 64)
JOB = Job(
    repo="o/a-very-long-name-of-a-model-GGUF", commit="a" * 40, name="m", quant="Q4_K_M", files=(FILE,),
    state="running", done=GIB, speed=20.0 * MIB, left=154.0, free=40 * GIB,
)  # fmt: skip


def line(job: Job, width: int) -> str:
    (made,) = job_lines(job, width)
    assert made.cell_length <= width
    return made.plain


@pytest.mark.parametrize("width", [78, 118, 198])
def test_of_a_download_speed_and_time_are_seen_at_every_width(width: int) -> None:
    assert "20.0 MiB/s · 2 min 34 s left" in line(JOB, width)
    assert "25 %" in line(JOB, width)
    lacking = msgspec.structs.replace(JOB, lacks=2 * GIB, free=GIB)
    assert "the disk lacks 2.0 GiB" in line(lacking, width)


def test_a_wait_is_said_with_its_end() -> None:
    waiting = msgspec.structs.replace(JOB, step="retrying", why="hub.test was asked too often.", wait=700.2)
    assert "again in 11 min 41 s" in line(waiting, 118)
    assert "again in 11 min 41 s" in line(waiting, 78)


def test_what_is_free_on_the_disk_is_said_and_when_it_gets_short() -> None:
    assert jobs_title((JOB,)) == (" Downloads · 40.0 GiB free on the disk ", False)
    short = msgspec.structs.replace(JOB, free=5 * GIB)
    assert jobs_title((short,)) == (" Downloads · 5.0 GiB free on the disk, 2.0 GiB when all are here ", True)
    queued = msgspec.structs.replace(JOB, name="n", state="queued", done=0, free=None)
    assert jobs_title((queued, short)) == (" Downloads · 5.0 GiB free on the disk, 2.0 GiB too little ", True)
    full = msgspec.structs.replace(JOB, free=GIB, lacks=2 * GIB + 64 * MIB)
    assert jobs_title((full,)) == (" Downloads · 1.0 GiB free on the disk, 2.1 GiB too little ", True)
    assert jobs_title((msgspec.structs.replace(JOB, state="done"),)) == (" Downloads ", False)
    elsewhere = msgspec.structs.replace(queued, to="/another/disk")
    assert jobs_title((JOB, elsewhere))[1] is False


def test_what_a_search_brought() -> None:
    one = Repo(name="o/r", suits=("Q4_K_M", "Q5_K_M"))
    assert found_text(Found(id=1, repos=(one,)), "likes") == "1 repository by likes"
    assert found_text(Found(id=1, repos=()), "likes") == "nothing was found"
    assert "300 were looked at" in found_text(Found(id=1, repos=(one, one), looked_at=300), "likes")
    assert "Q4_K_M Q5_K_M" in repo_lines(one, 60)[1].plain
