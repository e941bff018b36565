"""Starting git so that neither the repository, nor the server, nor the machine's configuration can make it do more than it was asked.

Every call has a clean environment and its configuration in variables (GIT_CONFIG_COUNT, git-config(1)), which outrank any file, also the
repository's own. Nothing secret is in a command line, a URL or a file: credentials are such a variable, for one call and one host.
"""

from __future__ import annotations

import logging
import os
import re
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import urlsplit

from pipeline.errors import CommitMissing, GitError, GitUnauthorized, GitUnavailable, MirrorDamaged, ObjectsRefused
from pipeline.model.loopback import is_loopback
from pipeline.ports import GitCredentials
from pipeline.sandbox.outward import git_authorities
from pipeline.sandbox.process import Finished, Limits, run

log = logging.getLogger(__name__)

_LEGACY_CHECKS = (
    "badTimezone",
    "missingSpaceBeforeDate",
    "missingSpaceBeforeEmail",
    "missingEmail",
    "badDate",
    "badEmail",
    "zeroPaddedFilemode",
)
"""Faults of git's own fsck that respectable old repositories have and that harm nobody (reports on rails, requests, git itself)."""

_CONFIG: tuple[tuple[str, str], ...] = (
    # programs that a configuration could name
    ("core.hooksPath", "/dev/null"),
    ("core.fsmonitor", "false"),
    ("core.sshCommand", ""),
    ("core.pager", "cat"),
    ("core.editor", "false"),
    ("core.askPass", ""),
    ("core.attributesFile", "/dev/null"),
    ("core.excludesFile", "/dev/null"),
    ("credential.helper", ""),
    ("diff.external", ""),
    ("log.showSignature", "false"),
    ("uploadpack.packObjectsHook", ""),
    # no way out but those that `transport` adds
    ("protocol.allow", "never"),
    ("http.followRedirects", "false"),
    ("http.lowSpeedLimit", "1000"),
    ("http.lowSpeedTime", "20"),
    ("submodule.recurse", "false"),
    ("fetch.recurseSubmodules", "false"),
    # nothing unchecked comes in: off by default, and then git accepts `.git` folders and `..` in trees
    ("transfer.fsckObjects", "true"),
    *((f"fetch.fsck.{check}", "warn") for check in _LEGACY_CHECKS),
    # if files are ever written, links become text
    ("core.symlinks", "false"),
    ("core.protectNTFS", "true"),
    ("core.protectHFS", "true"),
    # no housekeeping behind our back
    ("gc.auto", "0"),
    ("maintenance.auto", "false"),
    ("fetch.writeCommitGraph", "false"),
    ("fetch.unpackLimit", "1"),
    ("core.quotePath", "true"),
    ("safe.bareRepository", "explicit"),
    ("advice.detachedHead", "false"),
)

_ENVIRONMENT = {
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "LC_ALL": "C",
    "HOME": "/nonexistent",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ASKPASS": "/bin/false",
    "SSH_ASKPASS": "/bin/false",
    "GIT_SSH_COMMAND": "/bin/false",
    "GIT_LFS_SKIP_SMUDGE": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_LITERAL_PATHSPECS": "1",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_PROTOCOL_FROM_USER": "0",
}
_PROXY = re.compile(r"(https|all|no)_proxy", re.IGNORECASE)
_READ_LIMITS = Limits(wall=120.0, cpu=120.0, memory=1 << 30, output=256 << 20)
_QUICK_LIMITS = Limits(wall=20.0, cpu=4.0, memory=512 << 20)
"""For comparing trees: Linux as a whole, 90,000 files, takes a second and 50 MB. A tree that takes more was made to."""
_FETCH_FILE = 4 << 30
"""Bytes of the largest pack that one fetch may write."""

_UNAUTHORIZED = re.compile(r"could not read (username|password)|authentication failed|requested url returned error: 40[13]", re.IGNORECASE)
_UNREACHED = re.compile(
    r"requested url returned error|could not resolve|failed to connect|timed out|"
    r"connection (refused|reset)|ssl|certificate|early eof|remote end hung up|does not appear to be a git repository|"
    r"transport '.*' not allowed|unable to access|repository '.*' not found|no space left|disk quota|file too large",
    re.IGNORECASE,
)
_DAMAGE = re.compile(
    r"is corrupt|corrupt (loose|patch|pack)|is empty|bad packed object|does not match index|cannot be accessed|not a git repository|"
    r"unable to (read|parse|unpack|mmap)|inflate|bad (object|tree|signature|revision)|not a (tree|valid) (object|commit)|"
    r"(bad|invalid) shallow line|invalid sha1 pointer|"
    r"packfile [^\n]{0,300}? (is|cannot)|far too short|bad config|bad numeric|loose object|garbage at end|is too small|"
    r"refs? [^\n]{0,300}?broken|did not send all necessary|could not fetch [^\n]{0,300}? promisor",
    re.IGNORECASE,
)
_COMPLAINT = re.compile(r"object ([0-9a-f]{40,64}): (\w+: [^\n]*)")
_REFUSED = re.compile(r"fsck error|fsck found|does not pass fsck|object [0-9a-f]{40,64}: \w+: |object of unexpected type", re.IGNORECASE)
_MISSING = re.compile(r"not our ref|couldn't find remote ref|no such remote ref", re.IGNORECASE)
_NOT_ALLOWED = re.compile(r"does not allow request for unadvertised|unadvertised object|server does not support", re.IGNORECASE)
_PRINTABLE = frozenset(string.printable) - frozenset("\r\n\t\x0b\x0c")


class WantsRefused(GitError):
    """The server gives only what its refs point to. Caught by the mirror, which then asks for those."""


def is_legacy_fault(refused: ObjectsRefused) -> bool:
    """True when what git complained of is one of the faults that harm nobody."""
    return any(f": {check}: " in refused.message for check in _LEGACY_CHECKS)


@dataclass(frozen=True, slots=True)
class Transport:
    """From where, and with what, git may fetch. The default: from nowhere."""

    url: str = ""
    credentials: GitCredentials = field(default_factory=GitCredentials, repr=False)
    allow_local: bool = False
    """Folders of this machine may be fetched from: for the local provider, whose repositories the operator names."""

    def config(self) -> list[tuple[str, str]]:
        """Configuration for one call. Raises GitUnavailable for a URL that must not be used."""
        if not self.url:
            return []
        parts = urlsplit(self.url)
        # An explicit protocol rule outranks `protocol.allow`.
        settings = [("remote.origin.url", self.url), (f"protocol.{_protocol(self.url, self.allow_local)}.allow", "always")]
        if _protocol(self.url, self.allow_local) == "file":
            # The other end is our own git on a folder that the operator named: let it serve what a real server serves.
            serve = "git -c uploadpack.allowFilter=true -c uploadpack.allowAnySHA1InWant=true"
            path = parts.path
            if re.fullmatch(r"[A-Za-z0-9._/-]+", path):  # a shell reads it
                serve += f" -c safe.directory={path}"
            settings.append(("remote.origin.uploadpack", f"{serve} upload-pack"))
        elif self.credentials.header:
            settings.append((f"http.{parts.scheme}://{parts.netloc}/.extraHeader", self.credentials.header))
        return settings


def _protocol(url: str, allow_local: bool) -> str:
    """`https`; `http` on loopback; `file` when allowed."""
    parts = urlsplit(url)
    if any(character not in _PRINTABLE for character in url) or url.startswith("-") or "@" in parts.netloc:
        raise GitUnavailable("the repository's address is not one that we fetch from")
    if parts.scheme == "https" and parts.hostname:
        return "https"
    if parts.scheme == "http" and parts.hostname and is_loopback(parts.hostname):
        return "http"
    if allow_local and ((parts.scheme == "file" and not parts.netloc) or (not parts.scheme and url.startswith("/"))):
        return "file"
    raise GitUnavailable(f"repositories are fetched over https, not {parts.scheme or 'from a path'}")


def _heard(finished: Finished) -> str:
    """What git said, without the lines that it passes on from the server, which can say anything."""
    said = finished.stderr.decode("utf-8", "replace")
    return "\n".join(line for line in said.splitlines() if not line.startswith("remote: "))


def _own(heard: str) -> str:
    """What of it is git's own. The rest is the server's too, and can be several lines."""
    return heard.partition("remote error: ")[0]


@dataclass(frozen=True, slots=True)
class Git:
    """git on one repository."""

    git_dir: Path
    transport: Transport = field(default_factory=Transport)
    extra_env: Mapping[str, str] = field(default_factory=dict)

    def read(
        self,
        *arguments: str,
        stdin: bytes = b"",
        output: int = _READ_LIMITS.output,
        wall: float = 120.0,
        quick: bool = False,
        codes: Sequence[int] = (0,),
    ) -> Finished:
        """Run a command that reads objects: it cannot reach a network, and a missing object is an error, not a download.

        Args:
            codes: exit codes that are answers.
            quick: within narrow limits, because the caller knows another way.
            output: bytes of its answer; more is no error, see `Finished.truncated`.

        Raises:
            GitError: or what it means, see `failure`.
        """
        limits = replace(_QUICK_LIMITS if quick else _READ_LIMITS, output=output)
        limits = limits if quick else replace(limits, wall=wall, cpu=wall)
        finished = run(["git", *arguments], limits=limits, env=self._env([], {"GIT_NO_LAZY_FETCH": "1"}), stdin=stdin)
        if finished.truncated or (finished.exit_code in codes and not finished.timed_out):
            return finished
        raise self.failure(finished, arguments[0])

    def fetch(self, *arguments: str, stdin: bytes, wall: float, config: Sequence[tuple[str, str]] = ()) -> None:
        """Run `git fetch`, with settings of this call's own; once more with other credentials when the server refuses these.

        Raises:
            GitError: or what it means, see `failure`.
        """
        try:
            self._fetch(*arguments, stdin=stdin, wall=wall, config=config)
        except GitUnauthorized:
            renew = self.transport.credentials.renew
            if renew is None:
                raise
            log.info("git.credentials_refused")
            renewed = replace(self.transport, credentials=GitCredentials(renew()))
            replace(self, transport=renewed)._fetch(*arguments, stdin=stdin, wall=wall, config=config)

    def _fetch(self, *arguments: str, stdin: bytes, wall: float, config: Sequence[tuple[str, str]]) -> None:
        limits = Limits(wall=wall, cpu=wall, memory=4 << 30, file_size=_FETCH_FILE, output=4 << 20)
        proxies = {name: value for name, value in os.environ.items() if _PROXY.fullmatch(name)}
        env = self._env([*self.transport.config(), *config], {**proxies, **git_authorities()})
        finished = run(["git", "fetch", *arguments], limits=limits, env=env, stdin=stdin)
        if not finished.ok:
            raise self.failure(finished, "fetch")
        # git goes on without a pack that it cannot read, and the next one who wants something out of it fails.
        if any(line.startswith("error: ") and _DAMAGE.search(line) for line in _own(_heard(finished)).splitlines()):
            raise MirrorDamaged(f"git fetch: {self._presentable(finished.stderr.decode('utf-8', 'replace'))}")

    def failure(self, finished: Finished, command: str) -> GitError:
        """What git's end means. Its words may be the server's: they are cut, and freed of control characters and of our credentials."""
        said = finished.stderr.decode("utf-8", "replace")
        text = f"git {command}: {self._presentable(said)}"
        if finished.timed_out:
            return GitUnavailable(f"git {command} did not finish in time")
        if finished.out_of_memory:
            return GitError(f"git {command} needs more memory than it may use")
        heard = _heard(finished)
        own = _own(heard)
        meanings: tuple[tuple[re.Pattern[str], str, type[GitError]], ...] = (
            (_REFUSED, own, ObjectsRefused),
            (_NOT_ALLOWED, heard, WantsRefused),
            (_MISSING, heard, CommitMissing if command == "fetch" else GitError),
            (_UNAUTHORIZED, heard, GitUnauthorized),
            (_UNREACHED, heard, GitUnavailable),
            (_DAMAGE, own, MirrorDamaged),
        )
        default = GitUnavailable if command == "fetch" else GitError
        meaning = next((meaning for pattern, words, meaning in meanings if pattern.search(words)), default)
        complaint = _COMPLAINT.search(own)
        if meaning is ObjectsRefused and complaint is not None:
            text = f"refused by git's own checks: {self._presentable(complaint[2])} (object {complaint[1][:7]})"
        return meaning(text)

    def _presentable(self, said: str) -> str:
        header = self.transport.credentials.header
        for secret in (header, *header.split()):
            if len(secret) > 6:
                said = said.replace(secret, "***")
        for place in (self.git_dir, self.git_dir.parent):  # a check tells nobody where we keep things
            said = said.replace(str(place), "the mirror")
        line = " / ".join(part.strip() for part in said.splitlines() if part.strip())
        return "".join(character if character in _PRINTABLE else "?" for character in line)[-400:]

    def _env(self, settings: Sequence[tuple[str, str]], more: Mapping[str, str]) -> dict[str, str]:
        config = (*_CONFIG, *settings)
        numbered = {}
        for number, (key, value) in enumerate(config):
            numbered[f"GIT_CONFIG_KEY_{number}"], numbered[f"GIT_CONFIG_VALUE_{number}"] = key, value
        return {**_ENVIRONMENT, "GIT_DIR": str(self.git_dir), "GIT_CONFIG_COUNT": str(len(config)), **numbered, **more, **self.extra_env}
