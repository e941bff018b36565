"""Parsers that bring in what a document names."""

import xml.sax
import xml.sax.handler
from xml.sax import handler, make_parser

import lxml.etree as ET
from lxml import etree, objectify
from lxml.etree import XMLParser, iterparse


def upload(request):
    parser = etree.XMLParser(resolve_entities=True, no_network=True)  # expect: python.xml-external-entities
    return etree.fromstring(request.data, parser=parser)


class Importer:
    parser = ET.XMLParser(remove_blank_text=True, resolve_entities=True)  # expect: python.xml-external-entities

    def load(self, path):
        return ET.parse(path, self.parser).getroot()


def by_name(text):
    return etree.XML(text, XMLParser(resolve_entities=1))  # expect: python.xml-external-entities


def in_steps(path):
    for _, element in iterparse(path, resolve_entities=True, tag="row"):  # expect: python.xml-external-entities
        yield element


def as_objects(text):
    parser = objectify.makeparser(resolve_entities=True)  # expect: python.xml-external-entities
    return objectify.fromstring(text, parser)


def events(stream, content):
    parser = make_parser()
    parser.setContentHandler(content)
    parser.setFeature(handler.feature_external_ges, True)  # expect: python.xml-external-entities
    parser.parse(stream)


def long_way(stream):
    parser = xml.sax.make_parser()
    parser.setFeature(xml.sax.handler.feature_external_ges, 1)  # expect: python.xml-external-entities
    parser.parse(stream)


def by_address(parser, stream):
    parser.setFeature("http://xml.org/sax/features/external-general-entities", True)  # expect: python.xml-external-entities
    parser.parse(stream)


def with_its_type(request):
    parser = etree.XMLParser(resolve_entities=True, load_dtd=True, no_network=False)  # expect: python.xml-external-entities
    return etree.fromstring(request.get_data(), parser).findtext("name")
