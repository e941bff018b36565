"""Pages made of pieces, which are called safe too early."""

from django.utils.html import format_html
from django.utils.safestring import mark_safe
from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup

PAGES = Environment(loader=FileSystemLoader("pages"))  # expect: python.unescaped-output


def page(user):
    return PAGES.get_template("user.html").render(user=user)


def badge(name):
    return Markup(f"<b class='badge'>{name}</b>")  # expect: python.unescaped-output


def row(user, total):
    return Markup("<tr><td>%s</td><td>%s</td></tr>" % (user.name, int(total)))  # expect: python.unescaped-output


def greeting(name: str):
    return Markup("<p>Hello " + name.strip() + "</p>")  # expect: python.unescaped-output


class BookAdmin:
    def link(self, book):
        return mark_safe('<a href="/books/{}/">{}</a>'.format(book.pk, book.title))  # expect: python.unescaped-output

    def note(self, book):
        text = "<p>"
        text += book.summary
        text += "</p>"
        return mark_safe(text)  # expect: python.unescaped-output

    def label(self, book):
        return format_html(f"<em>{book.title}</em>")  # expect: python.unescaped-output


class Letters:
    def __init__(self, folder):
        self.pages = Environment(loader=FileSystemLoader(folder), autoescape=False)  # expect: python.unescaped-output

    def letter(self, person):
        return self.pages.get_template("letter.html").render(person=person)


def invoice(items):
    env = Environment(loader=FileSystemLoader("pages"), trim_blocks=True)  # expect: python.unescaped-output
    return env.get_template("invoice.html").render(items=items)
