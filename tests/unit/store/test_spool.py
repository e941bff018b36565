"""Deliveries in files: what was acknowledged comes out once and in order, whatever happened to the file; the rest is said."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import pytest

from pipeline.errors import StoreUnavailable
from pipeline.model.event import Delivery
from pipeline.store.seal import Seal, Vault
from pipeline.store.spool import PRIVATE, Records, Spool, encode

ROOT = Path(__file__).parents[3]
PLENTY = 10_000_000
VAULT = Vault()


def delivery(number: int, body: bytes = b"{}") -> Delivery:
    return Delivery("local", "", {"webhook-id": f"d{number}", "webhook-signature": "v1,\u00fc"}, body, 1000.0 + number)


def taken(spool: Spool) -> list[str]:
    """Drain it; the ids that came out."""
    found: list[str] = []

    def take(deliveries: Sequence[Delivery]) -> list[bool]:
        found.extend(one.headers["webhook-id"] for one in deliveries)
        return [True] * len(deliveries)

    spool.drain(take)
    return found


def test_what_was_kept_comes_out_as_it_was_in_order_and_once(tmp_path: Path) -> None:
    kept = [delivery(number, bytes(range(256)) * number) for number in range(5)]
    spool, out = Spool(tmp_path / "spool", PLENTY, segment_bytes=600), list[Delivery]()

    def take(deliveries: Sequence[Delivery]) -> list[bool]:
        out.extend(deliveries)
        return [True] * len(deliveries)

    for one in kept:
        spool.keep(one)
    assert spool.lying().segments > 1
    assert spool.drain(take) == 5
    assert out == kept
    assert spool.drain(take) == 0
    assert list((tmp_path / "spool").iterdir()) == []


def test_only_this_user_can_read_it_and_no_credential_of_a_proxy_is_written(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "state" / "spool", PLENTY)
    spool.keep(Delivery("local", "", {"webhook-id": "d", **dict.fromkeys(PRIVATE, "not for the disk")}, b""))
    spool.close()
    (segment,) = (tmp_path / "state" / "spool").iterdir()
    assert (segment.stat().st_mode & 0o777, segment.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert b"not for the disk" not in segment.read_bytes()


def test_with_a_key_nothing_of_a_delivery_is_readable_and_another_key_does_not_open_it(tmp_path: Path) -> None:
    vault = Vault(Seal(bytes(32)))
    spool = Spool(tmp_path, PLENTY, vault=vault)
    for number in range(2):
        spool.keep(delivery(number, b"a comment"))
    spool.close()
    (segment,) = tmp_path.iterdir()
    content = segment.read_bytes()
    assert b"a comment" not in content
    assert b"webhook" not in content
    assert taken(spool) == ["d0", "d1"]
    segment.write_bytes(content)
    assert taken(Spool(tmp_path, PLENTY, vault=Vault(Seal(b"1" * 32)))) == []
    assert spool.lying().damaged == 1


def test_cut_at_any_byte_every_whole_record_comes_out_and_nothing_else() -> None:
    records = [encode(delivery(number, b"body \n FWS1" * number), VAULT) for number in range(3)]
    whole = b"".join(records)
    ends = [sum(map(len, records[: n + 1])) for n in range(3)]
    for cut in range(len(whole) + 1):
        reading = Records(BytesIO(whole[:cut]), VAULT)
        assert [one.at for one in reading] == [1000.0 + n for n, end in enumerate(ends) if end <= cut]
        begun = max(end for end in (0, *ends) if end <= cut)
        assert (reading.damaged, reading.cut_off) == ([], None if cut == begun else begun)


def test_whichever_bit_of_a_record_is_flipped_all_others_come_out_and_its_place_is_told() -> None:
    records = [encode(delivery(number, b"body"), VAULT) for number in range(3)]
    begins = [sum(map(len, records[:n])) for n in range(3)]
    whole = b"".join(records)
    for place in range(len(whole)):
        altered = bytearray(whole)
        altered[place] ^= 1 << place % 8
        reading = Records(BytesIO(bytes(altered)), VAULT)
        hit = max(n for n in range(3) if begins[n] <= place)
        assert [one.at for one in reading] == [1000.0 + n for n in range(3) if n != hit]
        assert (reading.damaged, reading.cut_off) == ([begins[hit]], None)


@pytest.mark.parametrize("vault", [VAULT, Vault(Seal(bytes(32)))], ids=["plain", "sealed"])
def test_bytes_that_are_missing_or_too_many_cost_the_records_that_they_are_in(vault: Vault) -> None:
    records = [encode(delivery(number, b"x" * 70_000), vault) for number in range(4)]
    middle = len(records[0]) + len(records[1]) // 2
    whole = b"".join(records)
    for altered, there in (
        (whole[:middle] + whole[middle + 3 :], [0, 2, 3]),
        (whole[:middle] + b"FWS1 and more" + whole[middle:], [0, 2, 3]),
        (whole[:middle] + bytes(100_000) + whole[middle + 100_000 :], [0, 3]),
        (bytes(200_000) + whole, [0, 1, 2, 3]),
        (whole[:-1] + b"FWS", [0, 1, 2]),
    ):
        reading = Records(BytesIO(altered), vault)
        assert [one.at for one in reading] == [1000.0 + n for n in there]
        assert len(reading.damaged) == 1
        assert reading.cut_off is None


def test_a_damaged_record_is_told_beside_one_that_the_end_cuts_off() -> None:
    records = [encode(delivery(number), VAULT) for number in range(3)]
    altered = b"XXXX" + records[0][4:] + records[1] + records[2][:-1]
    reading = Records(BytesIO(altered), VAULT)
    assert [one.at for one in reading] == [1001.0]
    assert (reading.damaged, reading.cut_off) == ([0], len(records[0]) + len(records[1]))


def test_a_record_inside_of_a_body_is_no_record() -> None:
    """Who writes a comment could write one into it, but for the first byte of its length: JSON has it in no text."""
    inner = encode(delivery(9), VAULT).decode("latin-1")
    body = json.dumps({"note": inner}, ensure_ascii=False).encode("latin-1")
    altered = b"XXXX" + encode(delivery(1, body), VAULT)[4:] + encode(delivery(2), VAULT)
    assert [one.at for one in Records(BytesIO(altered), VAULT)] == [1002.0]


def test_a_cut_off_record_costs_nothing_that_was_acknowledged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    first = Spool(tmp_path, PLENTY)
    first.keep(delivery(1))
    first.close()
    (segment,) = tmp_path.iterdir()
    segment.write_bytes(segment.read_bytes() + encode(delivery(2), VAULT)[:-1])
    assert taken(Spool(tmp_path, PLENTY)) == ["d1"]
    assert "spool.cut_off" in caplog.text
    assert list(tmp_path.iterdir()) == []


def test_of_a_damaged_segment_all_whole_records_come_out_and_it_is_set_aside(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    spool = Spool(tmp_path, PLENTY)
    for number in range(3):
        spool.keep(delivery(number))
    spool.close()
    (segment,) = tmp_path.iterdir()
    content = bytearray(segment.read_bytes())
    begun = len(encode(delivery(0), VAULT))
    content[begun + 40] ^= 1
    segment.write_bytes(content)
    assert taken(spool) == ["d0", "d2"]
    assert (spool.lying().segments, spool.lying().damaged) == (0, 1)
    assert taken(spool) == []
    (told,) = [vars(record) for record in caplog.records if record.message == "spool.damaged"]
    assert (told["segment"], told["drained"], told["refused"], told["at_byte"]) == (segment.name, 2, 0, str(begun))


def test_where_everything_is_damaged_so_many_places_are_told_and_of_the_rest_the_number(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    spool = Spool(tmp_path, PLENTY, vault=Vault(Seal(bytes(32))))
    for number in range(23):
        spool.keep(delivery(number))
    spool.close()
    assert taken(Spool(tmp_path, PLENTY)) == [], "without the key none opens"
    (told,) = [vars(record) for record in caplog.records if record.message == "spool.damaged"]
    assert told["at_byte"].startswith("0, ")
    assert told["at_byte"].endswith(" and 3 more")


def test_a_refused_delivery_is_set_aside_with_its_segment(tmp_path: Path) -> None:
    spool = Spool(tmp_path, PLENTY)
    for number in range(3):
        spool.keep(delivery(number))
    assert spool.drain(lambda deliveries: [one.headers["webhook-id"] != "d1" for one in deliveries]) == 2
    assert spool.lying().damaged == 1


def test_when_the_database_goes_away_again_all_of_it_stays(tmp_path: Path) -> None:
    spool = Spool(tmp_path, PLENTY)
    for number in range(100):
        spool.keep(delivery(number))
    seen: list[int] = []

    def take(deliveries: Sequence[Delivery]) -> list[bool]:
        seen.append(len(deliveries))
        if len(seen) == 2:
            raise StoreUnavailable("away again")
        return [True] * len(deliveries)

    with pytest.raises(StoreUnavailable):
        spool.drain(take)
    assert taken(spool) == [f"d{number}" for number in range(100)]


def test_while_nothing_can_be_taken_the_files_do_not_grow_in_number(tmp_path: Path) -> None:
    spool = Spool(tmp_path, PLENTY)

    def away(deliveries: Sequence[Delivery]) -> list[bool]:
        raise StoreUnavailable("away")

    for number in range(20):
        spool.keep(delivery(number))
        with pytest.raises(StoreUnavailable):
            spool.drain(away)
    assert spool.lying().segments == 2
    assert taken(spool) == [f"d{number}" for number in range(20)]


def test_a_full_spool_refuses_and_what_lies_there_is_untouched(tmp_path: Path) -> None:
    spool = Spool(tmp_path, len(encode(delivery(1), VAULT)) * 2)
    spool.keep(delivery(1))
    spool.keep(delivery(2))
    with pytest.raises(StoreUnavailable, match="as much as it may"):
        spool.keep(delivery(3))
    assert taken(spool) == ["d1", "d2"]
    spool.keep(delivery(4))
    spool.close()


FULL_DISK = """
import resource, sys
from pathlib import Path
from pipeline.errors import StoreUnavailable
from pipeline.store.spool import Spool
from tests.unit.store.test_spool import PLENTY, delivery, taken
spool = Spool(Path(sys.argv[1]), PLENTY)
spool.keep(delivery(1))
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
try:
    spool.keep(delivery(2, b"x" * 5000))
except StoreUnavailable as error:
    print(error.message)
spool.keep(delivery(3))
print(taken(spool))
"""


def test_a_record_that_does_not_fit_on_the_disk_leaves_no_part_of_itself(tmp_path: Path) -> None:
    """A limit of the process stands for the disk: the kernel takes a part of the record and refuses the rest, as a full disk does."""
    done = subprocess.run([sys.executable, "-c", FULL_DISK, str(tmp_path)], capture_output=True, text=True, cwd=ROOT, check=True)
    said, came = done.stdout.splitlines()
    assert "cannot be written" in said
    assert came == "['d1', 'd3']"


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreUnavailable, match="cannot be written"):
        Spool(tmp_path / "file" / "spool", PLENTY).keep(delivery(1))


ENDLESS = """
import sys
from pathlib import Path
from pipeline.store.spool import Spool
from tests.unit.store.test_spool import PLENTY, delivery
spool = Spool(Path(sys.argv[1]), PLENTY, segment_bytes=20_000)
for number in range(1_000_000):
    spool.keep(delivery(number, b"x" * (number % 3000)))
    print(number, flush=True)
"""


def test_what_a_killed_process_acknowledged_is_all_there(tmp_path: Path) -> None:
    for count in (1, 57):
        folder = tmp_path / str(count)
        with subprocess.Popen([sys.executable, "-c", ENDLESS, str(folder)], stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
            assert process.stdout is not None
            acknowledged = [int(process.stdout.readline()) for _ in range(count)]
            spool = Spool(folder, PLENTY)
            taken_alive = taken(spool)
            process.send_signal(signal.SIGKILL)
            acknowledged += [int(line) for line in process.stdout.read().splitlines()]
        came = [*taken_alive, *taken(spool)]
        assert came[: len(acknowledged)] == [f"d{number}" for number in acknowledged]
        assert len(came) <= len(acknowledged) + 1, "at most one that was written and not acknowledged"


def test_a_segment_that_another_process_has_open_is_left_to_it(tmp_path: Path) -> None:
    writer, other = Spool(tmp_path, PLENTY), Spool(tmp_path, PLENTY)
    writer.keep(delivery(1))
    assert taken(other) == []
    writer.close()
    assert taken(other) == ["d1"]


def test_two_who_drain_at_the_same_time_share_it_without_taking_anything_twice(tmp_path: Path) -> None:
    writer = Spool(tmp_path, PLENTY, segment_bytes=1)
    for number in range(40):
        writer.keep(delivery(number))
    writer.close()
    barrier = threading.Barrier(4)

    def drain(_: int) -> list[str]:
        barrier.wait()
        return taken(Spool(tmp_path, PLENTY))

    with ThreadPoolExecutor(4) as threads:
        came = [identity for one in threads.map(drain, range(4)) for identity in one]
    came += taken(writer)
    assert sorted(came) == sorted(f"d{number}" for number in range(40))


def test_what_is_kept_while_another_drains_is_written_into_no_removed_file(tmp_path: Path) -> None:
    keeper, drainer, ended = Spool(tmp_path, PLENTY, segment_bytes=1), Spool(tmp_path, PLENTY), threading.Event()

    def drain() -> list[str]:
        found: list[str] = []
        while not ended.is_set():
            found += taken(drainer)
        return found + taken(drainer)

    with ThreadPoolExecutor(1) as pool:
        drained = pool.submit(drain)
        for number in range(300):
            keeper.keep(delivery(number))
        keeper.close()
        ended.set()
        assert sorted(drained.result(60)) == sorted(f"d{number}" for number in range(300))


def test_one_process_can_keep_and_drain_from_many_threads(tmp_path: Path) -> None:
    spool, came = Spool(tmp_path, PLENTY, segment_bytes=2000), list[str]()
    stop = threading.Event()

    def drain() -> None:
        while not stop.is_set():
            came.extend(taken(spool))

    thread = threading.Thread(target=drain)
    thread.start()
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda number: spool.keep(delivery(number)), range(200)))
    stop.set()
    thread.join()
    came += taken(spool)
    assert sorted(came) == sorted(f"d{number}" for number in range(200))


@pytest.mark.parametrize("plant", [lambda path: os.mkfifo(path), lambda path: path.symlink_to("/etc/hostname")], ids=["FIFO", "link"])
def test_what_is_no_file_of_ours_is_not_opened(tmp_path: Path, plant: Callable[[Path], None]) -> None:
    plant(tmp_path / "00000000000000000001-1-aa.segment")
    assert taken(Spool(tmp_path, PLENTY)) == []


def test_the_lock_of_an_open_segment_is_the_kernels(tmp_path: Path) -> None:
    """Nothing that a killed process leaves behind keeps others out."""
    spool = Spool(tmp_path, PLENTY)
    spool.keep(delivery(1))
    (segment,) = tmp_path.iterdir()
    with segment.open("rb") as file, pytest.raises(BlockingIOError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    spool.close()
