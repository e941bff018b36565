"""A double of GitLab: its REST API over real bare repositories, held against GitLab's own schemas and documented parameters.

In a test:       with GitlabWorld.start(tmp_path) as world: ...            (`relative="/gitlab"`: below a path, as some instances live)
In a process:    python -m tests.worlds.gitlab --port 8091 --state DIR     (its persons act by POST /_world/VERB, see control.py)

Which file has what:

- `model.py`      what exists: users, groups, projects, merge requests, versions, discussions, notes, tokens
- `state.py`      all of it, and the lock; how things are found
- `core.py`       from a request to an answer: recognition, budget, routing, permission, parameters, work, judgement of our own answer
- `call.py`       one call, its parameters, refusals in GitLab's words, `operation` that registers a handler
- `tokens.py`     who is asking, and what a token may do
- `git_http.py`   who may use git over HTTP, and what a push does
- `actions.py`    what can happen to code and merge requests, whoever asked for it; `versions.py`: versions of a diff, GitLab's own refs
- `talk.py`       notes, discussions and emoji; `positions.py`: where a note may stand and where it goes; `suggestions.py`,
                  `quick_actions.py`: what GitLab reads in a text
- `pipelines.py`, `status_checks.py`   pipelines with the statuses that others post; services that are asked
- `shapes/`       the JSON of things; `pages.py`: lists in pages
- `routes/`       the API, a file for each of its pages
- `events.py`     what happened; `payloads.py`, `place_payloads.py`, `payload_parts.py`: what webhooks say of it; `hooks.py` who hears it,
                  how it is signed and sent
- `parameters.py`, `answers.py`   the documented parameters of calls and what answers must contain
- `limits.py`     rate limits
- `people.py`, `services.py`, `world.py`   what people do, what happens beside them, the world that a test holds in its hands; `control.py`:
                  the same over HTTP, for a double in a process of its own
"""

from tests.worlds.gitlab.world import GitlabWorld

__all__ = ["GitlabWorld"]
