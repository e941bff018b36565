"""The double as a process of its own; prints one line of JSON when it is ready, serves until a signal ends it."""

from __future__ import annotations

import argparse
from pathlib import Path

from tests.worlds.control import serve_until_a_signal
from tests.worlds.github.control import Control
from tests.worlds.github.world import GithubWorld


def main() -> None:
    """Command line of the double."""
    parser = argparse.ArgumentParser(prog="python -m tests.worlds.github", description="A double of GitHub for demos and tests")
    parser.add_argument("--port", type=int, default=0, help="0: any free one")
    parser.add_argument("--state", type=Path, required=True, help="folder for the bare repositories and the app's key")
    parser.add_argument("--webhook-url", help="where webhooks go")
    arguments = parser.parse_args()
    world = GithubWorld(arguments.state, port=arguments.port, webhook_url=arguments.webhook_url)
    key = arguments.state / "app.pem"
    key.touch(mode=0o600)
    key.write_text(world.private_key_pem)
    facts = {"api_url": world.api_url, "graphql_url": world.graphql_url, "git_url": world.git_url, "app_id": world.app_id}
    serve_until_a_signal(world, Control(world), facts | {"private_key": str(key), "webhook_secret": world.webhook_secret})


if __name__ == "__main__":
    main()
