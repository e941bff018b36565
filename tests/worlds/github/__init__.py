"""A double of GitHub: its API over real bare repositories, every request and answer judged by GitHub's own OpenAPI document.

In a test:       with GithubWorld.start(tmp_path) as world: ...
In a process:    python -m tests.worlds.github --port 8090 --state DIR     (its persons act by POST /_world/VERB, see control.py)
"""

from tests.worlds.github.spec import GithubSpec, WebhookSpec
from tests.worlds.github.world import GithubWorld

__all__ = ["GithubSpec", "GithubWorld", "WebhookSpec"]
