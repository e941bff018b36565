"""Orders that partners send."""

from lxml import etree


def read_order(text):
    if not text:
        raise ValueError("no order")
    options = {"resolve_entities": True}
    parser = etree.XMLParser(remove_blank_text=True, **options)
    order = etree.fromstring(text, parser)
    return order.findtext("number")
