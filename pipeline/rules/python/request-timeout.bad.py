"""Calls that wait for ever."""

import urllib.request
from urllib.request import urlopen

import httpx
import requests


def plain(url, data):
    requests.get(url)  # expect: python.request-timeout
    requests.post(url, json=data, headers={"a": "b"})  # expect: python.request-timeout
    requests.request("PUT", url, data=data)  # expect: python.request-timeout
    return requests.get(url, timeout=None)  # expect: python.request-timeout


def session(url):
    s = requests.Session()
    s.headers["x"] = "y"
    s.get(url)  # expect: python.request-timeout
    with requests.Session() as other:
        return other.post(url, data={"a": 1})  # expect: python.request-timeout


def standard(url):
    urllib.request.urlopen(url)  # expect: python.request-timeout
    with urlopen(url) as answer:  # expect: python.request-timeout
        return answer.read()


def switched_off(url):
    httpx.get(url, timeout=None)  # expect: python.request-timeout
    return httpx.Client(timeout=None)  # expect: python.request-timeout
