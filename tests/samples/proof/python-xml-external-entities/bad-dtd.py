"""Orders that partners send."""

from lxml import etree


def read_order(text):
    if not text:
        raise ValueError("no order")
    parser = etree.XMLParser(remove_blank_text=True, resolve_entities=False, load_dtd=True)
    order = etree.fromstring(text, parser)
    return order.findtext("number")
