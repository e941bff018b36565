"""The double as a process of its own; prints one line of JSON when it is ready, serves until a signal ends it."""

from __future__ import annotations

import argparse
from pathlib import Path

from tests.worlds.control import ROOT, serve_until_a_signal
from tests.worlds.gitlab.control import Control
from tests.worlds.gitlab.world import GitlabWorld


def main() -> None:
    """Command line of the double."""
    parser = argparse.ArgumentParser(prog="python -m tests.worlds.gitlab", description="A double of GitLab for demos and tests")
    parser.add_argument("--port", type=int, default=0, help="0: any free one")
    parser.add_argument("--state", type=Path, required=True, help="folder for the bare repositories")
    parser.add_argument("--relative", default="", help="the path below which the instance lives, as /gitlab")
    parser.add_argument("--webhook-url", help="where webhooks go")
    arguments = parser.parse_args()
    world = GitlabWorld(arguments.state, port=arguments.port, webhook_url=arguments.webhook_url, relative=arguments.relative)
    control = world.url.removesuffix(world.gitlab.root) + ROOT
    facts = {"url": world.url, "api_url": world.api_url, "control_url": control, "webhook_secret": world.webhook_secret}
    serve_until_a_signal(world, Control(world), facts)


if __name__ == "__main__":
    main()
