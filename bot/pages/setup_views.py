"""What the pages below /setup look like."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from starlette.responses import Response

from bot.pages.html import Child, Html, group, page, tag
from bot.pages.links import Outcome
from pipeline.errors import FixwrightError, UsageError
from pipeline.leaks import clean
from pipeline.model.setup import Choice, Question, SetupForm
from pipeline.ports import Setup

STEPS = ("Answer", "Create", "Install")
LEVELS = {"read": "read", "write": "read and write"}


def opening(setup: Setup, token: str) -> Response:
    """What a link shows before it is used: one button."""
    form = tag(
        "form",
        tag("input", type="hidden", name="token", value=token),
        tag("button", "Begin", type="submit"),
        method="post",
        action="/setup",
    )
    return page(
        f"Set up {setup.host_word}",
        tag("h1", f"Set up {setup.host_word}"),
        tag("p", "The link works once, and then for this browser only.", class_="soft"),
        form,
    )


def questions(provider: str, setup: Setup, given: Mapping[str, str], error: UsageError | None = None) -> Response:
    """The form. With `error` it keeps what was given and says what is wrong with it."""
    wrong = (
        note("bad", tag("strong", clean(error.message, machine=True)), " ", clean(error.hint, machine=True), role="alert")
        if error
        else None
    )
    address = Question("public_url", "Address of Fixwright", f"{setup.host_word} delivers here, so it must be reachable from there.")
    form = tag(
        "form",
        *[_question(question, given) for question in setup.questions],
        tag("fieldset", tag("legend", "Where is Fixwright?"), _text(address, given, kind="url")),
        tag("button", "Continue", type="submit"),
        method="post",
        action=f"/setup/{provider}",
    )
    return page(
        f"Set up {setup.host_word}",
        _way(0),
        tag("h1", f"Set up {setup.host_word}"),
        tag(
            "p",
            f"Fixwright works as a {setup.word} of your own. {setup.host_word} makes it from these answers; you confirm it there.",
            class_="soft",
        ),
        wrong,
        form,
        status=422 if error else 200,
    )


def review(setup: Setup, form: SetupForm, public_url: str, hook_url: str, *, unreachable: bool) -> Response:
    """What will be made, before the browser goes there."""
    rows = [
        tag("tr", tag("td", tag("code", right.name)), tag("td", LEVELS.get(right.level, right.level)), tag("td", right.why))
        for right in form.rights
    ]
    warning = note(
        "warn",
        tag("strong", f"{setup.host_word} cannot reach {public_url}. "),
        "That address leads every machine to itself, and a public host refuses it. Go back and give the address of a proxy or tunnel "
        "in front of Fixwright.",
        role="alert",
    )
    go = tag(
        "form",
        *[tag("input", type="hidden", name=name, value=value) for name, value in form.fields.items()],
        tag("button", f"Create it on {setup.host_word}", type="submit"),
        method="post",
        action=form.action,
    )
    return page(
        f"Create the {setup.word}",
        _way(1),
        tag("h1", f"Create the {setup.word}"),
        tag("p", f"{setup.host_word} shows this again, lets you change the name, and asks you to confirm.", class_="soft"),
        warning if unreachable else None,
        tag(
            "dl",
            *[
                group(tag("dt", word), tag("dd", said))
                for word, said in (("Name", form.name), ("Owner", form.owner), ("Delivers to", tag("code", hook_url)))
            ],
        ),
        tag("h2", "What it may do"),
        tag(
            "div",
            tag(
                "table",
                tag("thead", tag("tr", *[tag("th", word, scope="col") for word in ("Permission", "Level", "What for")])),
                tag("tbody", *rows),
            ),
            class_="scroll",
            tabindex="0",
            role="region",
            aria_label="Permissions",
        ),
        tag(
            "p",
            "Every token is for one repository and for what its step needs, and lives an hour. "
            "Never asked for: workflows, administration, secrets.",
            class_="help",
        ),
        go,
        # A server of one's own may send the form on to where people sign in, which nobody here knows.
        post_to="'self' https: " + _origin(form.action),
    )


def done(provider: str, setup: Setup, outcome: Outcome, hook_url: str, doubt: FixwrightError | None = None) -> Response:
    """The App is there and its key is stored; what remains is to let it into repositories."""
    trouble_ = (
        note(
            "warn",
            tag("strong", f"{setup.host_word} did not accept the new key yet. "),
            clean(f"{doubt.message}. {doubt.hint} ", machine=True),
            "It is stored; this tells more: ",
            tag("code", f"fixwright doctor {provider}"),
            role="alert",
        )
        if doubt
        else note("good", "Its key and its webhook secret are stored, sealed. No file and no variable is needed.", role="status")
    )
    return page(
        f"{setup.word} {outcome.name} is there",
        _way(2),
        tag("h1", f"{outcome.name} is there"),
        tag("p", f"A {setup.word} of {outcome.owner}. It can see nothing yet: choose the repositories.", class_="soft"),
        trouble_,
        tag("dl", tag("dt", "Delivers to"), tag("dd", tag("code", hook_url))),
        tag("a", "Choose repositories", href=outcome.next_url, class_="button"),
    )


def installed(provider: str, setup: Setup) -> Response:
    """The last page: what to expect."""
    return page(
        "Installed",
        tag("h1", "Installed"),
        tag("p", f"Fixwright was let into the repositories that you chose on {setup.host_word}."),
        tag("h2", "What comes next"),
        tag(
            "ul",
            tag("li", "The next push to a pull request gets a check called Fixwright, usually within seconds."),
            tag("li", "Clean and complete is no comment at all: then only the check speaks."),
            tag("li", "Under a thread, ", tag("code", "/fix"), " answers with a fix that was proved."),
            tag("li", "Make the check required in the branch's rules when it should block."),
        ),
        tag("p", "No check? ", tag("code", f"fixwright doctor {provider}"), " tries each hop and says what to do.", class_="soft"),
    )


def closed(commands: Iterable[str], *, configured: bool, used: bool) -> Response:
    """There is nothing to be set up here by this browser. `commands` make new links, one for each host."""
    if used:
        what = "This link does not work any more: it was used, replaced by a newer one, or is older than a day."
    elif configured:
        what = "Fixwright is set up."
    else:
        what = "This page opens with the link that Fixwright prints when it starts."
    return page(
        "Setup is closed",
        tag("h1", "Setup is closed"),
        tag("p", what),
        *[
            tag("p", "On the machine where Fixwright runs, ", tag("code", command), " makes a link that works once.")
            for command in commands
        ],
        status=410 if configured or used else 403,
    )


def trouble(what: str, why: str, what_to_do: str, status: int) -> Response:
    """Something did not work: what, why, what to do."""
    return page(what, tag("h1", what), note("bad", clean(why, machine=True), role="alert"), tag("p", what_to_do), status=status)


def note(kind: str, *children: Child, role: str | None = None) -> Html:
    """A box that stands out: `good`, `warn` or `bad`."""
    return tag("div", *children, class_=f"note {kind}", role=role)


def _way(at: int) -> Html:
    items = [tag("li", f"{number + 1}. {word}", aria_current="step" if number == at else None) for number, word in enumerate(STEPS)]
    return tag("ol", *items, class_="way", aria_label="Steps")


def _question(question: Question, given: Mapping[str, str]) -> Html:
    if not question.choices:
        return _text(question, given)
    chosen = given.get(question.name) or question.choices[0].value
    return tag(
        "fieldset",
        tag("legend", question.label),
        *[_choice(question, choice, given, checked=choice.value == chosen) for choice in question.choices],
    )


def _choice(question: Question, choice: Choice, given: Mapping[str, str], *, checked: bool) -> Html:
    button = tag("input", type="radio", name=question.name, value=choice.value, checked=checked)
    asks = tag("div", *[_text(inner, given) for inner in choice.asks], class_="asks") if choice.asks else None
    words = group(tag("span", choice.label), tag("span", choice.help, class_="help") if choice.help else None)
    return tag("div", tag("label", button, words), asks, class_="choice")


def _text(question: Question, given: Mapping[str, str], *, kind: str = "text") -> Html:
    described = f"{question.name}-help" if question.help else None
    return tag(
        "div",
        tag("label", question.label, for_=question.name),
        tag(
            "input",
            type=kind,
            id=question.name,
            name=question.name,
            value=given.get(question.name, ""),
            placeholder=question.example or None,
            aria_describedby=described,
            autocomplete="off",
            autocapitalize="none",
            spellcheck="false",
        ),
        tag("span", question.help, class_="help", id=described) if question.help else None,
        class_="field",
    )


def _origin(url: str) -> str:
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.partition('/')[0]}"
