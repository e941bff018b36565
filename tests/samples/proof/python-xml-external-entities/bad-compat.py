"""Orders that partners send."""

from lxml import etree


def read_order(text):
    if not text:
        raise ValueError("no order")
    parser = etree.ETCompatXMLParser(remove_blank_text=True, resolve_entities=bool(1))
    order = etree.fromstring(text, parser)
    return order.findtext("number")
