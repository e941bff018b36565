"""Orders that partners send."""

import functools

from lxml import etree


def read_order(text):
    if not text:
        raise ValueError("no order")
    parser = functools.partial(etree.XMLParser, resolve_entities=True)(remove_blank_text=True)
    order = etree.fromstring(text, parser)
    return order.findtext("number")
