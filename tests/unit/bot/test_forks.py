"""The RQ worker on a real queue: what it leaves there of a message that went wrong."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import redis
from rq.job import Job
from rq.serializers import JSONSerializer

from bot.embedded import open_queue
from bot.forks import kinds
from bot.settings import read_settings

ROOT = Path(__file__).parents[3]
VALUE = "ghp_" + "aB3dE6" * 6
"""Looks like a token, and is none."""

FAILING = f'''
def fail():
    try:
        raise LookupError("{VALUE[:20]}" + "{VALUE[20:]} \\x1b[2J <!-- somebody's text -->")
    except LookupError as cause:
        raise RuntimeError("no row for {VALUE[:20]}" + "{VALUE[20:]}") from cause
'''
WORKER = """
import sys

import redis
from rq import Queue
from rq.serializers import JSONSerializer

from bot.forks import MessageWorker

client = redis.Redis.from_url(sys.argv[1])
queue = Queue("fixwright", connection=client, serializer=JSONSerializer)
queue.enqueue("failing.fail", job_id="1", result_ttl=60, failure_ttl=60)
MessageWorker([queue], connection=client, serializer=JSONSerializer).work(burst=True)
"""


def test_the_queue_keeps_what_kind_of_error_it_was_and_nothing_that_it_said(tmp_path: Path) -> None:
    (tmp_path / "failing.py").write_text(FAILING)
    queue = open_queue(read_settings({"FIXWRIGHT_STATE_DIR": str(tmp_path / "state")}))
    assert queue.service is not None
    try:
        paths = f"{ROOT}:{tmp_path}"
        subprocess.run([sys.executable, "-c", WORKER, queue.url], env={"PYTHONPATH": paths}, check=True, capture_output=True, timeout=200)
        with redis.Redis.from_url(queue.url) as client:
            job = Job.fetch("1", connection=client, serializer=JSONSerializer)
            result = job.latest_result()
            assert job.is_failed
            assert result is not None
            assert result.exc_string == "RuntimeError, after LookupError"
            assert client.hget(job.key, "exc_info") is None
    finally:
        queue.service.stop()


def test_a_ring_of_causes_has_an_end() -> None:
    first, second = ValueError(VALUE), KeyError(VALUE)
    first.__cause__, second.__cause__ = second, first
    assert kinds(first) == "ValueError, after KeyError"
    hidden = OSError(VALUE)
    hidden.__context__, hidden.__suppress_context__ = first, True
    assert kinds(hidden) == "OSError"
