"""Connections that prove nothing."""

import ssl
import urllib.request

import aiohttp
import httpx
import requests
import urllib3


def by_argument(url, payload):
    requests.get(url, verify=False)  # expect: python.tls-verification-disabled
    requests.post(url, json=payload, timeout=5, verify=False)  # expect: python.tls-verification-disabled
    httpx.get(url, verify=False)  # expect: python.tls-verification-disabled
    client = httpx.Client(  # expect: python.tls-verification-disabled
        timeout=5,
        verify=False,
    )
    return client


def by_session(url):
    session = requests.Session()
    session.verify = False  # expect: python.tls-verification-disabled
    session.put(url, verify=False)  # expect: python.tls-verification-disabled
    return requests.Session().get(url, verify=False)  # expect: python.tls-verification-disabled


class Api:
    def __init__(self):
        self.session = requests.Session()
        self.session.verify = False  # expect: python.tls-verification-disabled


def by_context(url):
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # expect: python.tls-verification-disabled
    urllib.request.urlopen(url, context=ssl._create_unverified_context())  # expect: python.tls-verification-disabled
    return context


def names_only():
    context = ssl.create_default_context()
    context.check_hostname = False  # expect: python.tls-verification-disabled
    return context


ssl._create_default_https_context = ssl._create_unverified_context  # expect: python.tls-verification-disabled
POOL = urllib3.PoolManager(cert_reqs="CERT_NONE")  # expect: python.tls-verification-disabled


async def by_connector(url):
    connector = aiohttp.TCPConnector(ssl=False)  # expect: python.tls-verification-disabled
    async with aiohttp.ClientSession(connector=connector) as session:
        return await session.get(url, ssl=False)  # expect: python.tls-verification-disabled
