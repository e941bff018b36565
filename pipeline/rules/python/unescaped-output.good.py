"""Pages made of pieces, each escaped where it becomes part of the page."""

from django.utils.html import conditional_escape, format_html
from django.utils.safestring import mark_safe
from jinja2 import Environment, FileSystemLoader, select_autoescape
from markupsafe import Markup, escape

PAGES = Environment(loader=FileSystemLoader("pages"), autoescape=select_autoescape())
CODE = Environment(loader=FileSystemLoader("code"))
ICON = "<i></i>"


def page(user):
    return PAGES.get_template("user.html").render(user=user)


def module(name):
    return CODE.get_template("module.py.j2").render(name=name)


def badge(name):
    return Markup("<b>{}</b>").format(name)


def row(user, total):
    return Markup("<tr><td>%s</td><td>%s</td></tr>") % (user.name, total)


def greeting(name):
    return Markup(f"<p>Hello {escape(name)}</p>")


def counted(count: int, total: float):
    return Markup(f"<p>{count} of {total}, {len(str(total))}</p>")


def icon():
    return Markup(f"<b>{ICON}</b>")


def shown(widget):
    return mark_safe("<div>%s</div>" % widget.render())


def around(body_html):
    return mark_safe(f"<div>{body_html}</div>")


def plain(name):
    return f"Hello {name}"


class BookAdmin:
    def link(self, book):
        return format_html('<a href="/books/{}/">{}</a>', book.pk, book.title)

    def short(self, book):
        return mark_safe("<p>" + conditional_escape(book.title) + "</p>")

    def number(self, book):
        return mark_safe(f"<p>{book.pk}</p>")

    def chosen(self, state):
        if state not in ("open", "closed"):
            return ""
        return mark_safe(f"<p>{state}</p>")
