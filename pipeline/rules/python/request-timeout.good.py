"""Calls that give up, and calls that are none."""

import urllib.request

import httpx
import requests
from requests.adapters import HTTPAdapter

WAIT = 5


def plain(url, options):
    requests.get(url, timeout=5)
    requests.get(url, timeout=(3, 30))
    requests.post(url, timeout=WAIT)
    requests.get(url, **options)
    requests.get("http://localhost:8000/health")
    return httpx.get(url)


class Waiting(HTTPAdapter):
    def send(self, request, **kwargs):
        kwargs.setdefault("timeout", WAIT)
        return super().send(request, **kwargs)


def session(url):
    s = requests.Session()
    s.mount("https://", Waiting())
    return s.get(url)


def other(url, cache, names):
    urllib.request.urlopen(url, timeout=3)
    urllib.request.urlopen(url, None, 3)
    requests.Session()
    cache.get(url)
    return {}.get(names)
