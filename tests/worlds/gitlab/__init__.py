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
- `actions.py`, `talk.py`, `versions.py`, `positions.py`   what can happen, whoever asked for it: code and merge requests; notes and
                  discussions; versions of a diff; positions in a diff
- `shapes/`       the JSON of things
- `routes/`       the API, a file for each of its pages
- `events.py`     what happens; `payloads.py` what webhooks say of it; `hooks.py` who hears it, how it is signed and sent
- `pipelines.py`  pipelines, jobs, and the statuses that others post
- `parameters.py`, `answers.py`   the documented parameters of calls and what answers must contain
- `limits.py`     rate limits
- `people.py`, `world.py`   what people do; the world that a test holds in its hands
"""

from tests.worlds.gitlab.world import GitlabWorld

__all__ = ["GitlabWorld"]
