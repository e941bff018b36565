"""What the demo says of a Fixwright that does not become ready."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.demo.local import end_of, free_port, wait_ready
from bot.demo.story import DemoFailed
from pipeline.sandbox.service import Service, python

SECRET = "glpat-" + "x7Kq2mZp9Lw4Rt8Vb3Nd"


def test_one_that_ended_is_not_waited_for_and_only_its_own_log_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "fixwright.log"
    log.write_text("of the run before\n")
    begins = end_of(log)
    program = f"print('one'); print('a token {SECRET}'); raise SystemExit(4)"
    service = Service.start(python("-c", program), name="fixwright", log=log)
    with pytest.raises(DemoFailed, match="ended with code 4 before it was ready") as failed:
        wait_ready(service, f"http://127.0.0.1:{free_port()}", log, begins, 60.0)
    assert failed.value.hint == f"its log: {log}"
    assert capsys.readouterr().err == "  one\n  a token [removed]\n"


def test_one_that_lives_is_said_to_live(tmp_path: Path) -> None:
    log = tmp_path / "fixwright.log"
    service = Service.start(python("-c", "import time; time.sleep(60)"), name="fixwright", log=log)
    try:
        with pytest.raises(DemoFailed, match=r"not ready after 0 s; its process lives"):
            wait_ready(service, f"http://127.0.0.1:{free_port()}", log, 0, 0.3)
    finally:
        service.stop()
