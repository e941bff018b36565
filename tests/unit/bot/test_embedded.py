"""The bundled Valkey: there, durable, shared by all processes of a state folder, and never a silent stand-in for the operator's own."""

from __future__ import annotations

from pathlib import Path

import pytest
import redis

from bot.embedded import bundled_server, open_queue
from bot.settings import read_settings
from pipeline.errors import QueueUnavailable


def test_the_bundled_server_exists() -> None:
    server = bundled_server()
    assert server is not None
    assert server.exists()


def test_what_is_written_is_there_after_a_restart(tmp_path: Path) -> None:
    settings = read_settings({"FIXWRIGHT_STATE_DIR": str(tmp_path / "state")})
    first = open_queue(settings)
    assert first.service is not None
    with redis.Redis.from_url(first.url) as client:
        client.rpush("list", "kept")
    first.service.stop()
    second = open_queue(settings)
    assert second.service is not None
    with redis.Redis.from_url(second.url) as client:
        assert client.lrange("list", 0, -1) == [b"kept"]
    second.service.stop()


def test_a_second_process_uses_the_same_server(tmp_path: Path) -> None:
    settings = read_settings({"FIXWRIGHT_STATE_DIR": str(tmp_path / "state")})
    first = open_queue(settings)
    second = open_queue(settings)
    assert first.service is not None
    assert second.service is None
    assert second.url == first.url
    first.service.stop()


def test_a_state_folder_with_a_long_name_works_too(tmp_path: Path) -> None:
    settings = read_settings({"FIXWRIGHT_STATE_DIR": str(tmp_path / ("long" * 40))})
    queue = open_queue(settings)
    assert queue.service is not None
    with redis.Redis.from_url(queue.url) as client:
        assert client.ping()
    queue.service.stop()


def test_an_own_redis_that_does_not_answer_is_an_error(tmp_path: Path) -> None:
    settings = read_settings({"FIXWRIGHT_STATE_DIR": str(tmp_path), "REDIS_URL": f"unix://{tmp_path / 'nobody.sock'}"})
    with pytest.raises(QueueUnavailable, match="REDIS_URL"):
        open_queue(settings)
