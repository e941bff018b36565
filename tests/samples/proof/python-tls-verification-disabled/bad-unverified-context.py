"""Rates of the central bank."""

import ssl
import urllib.request


def fetch(url, timeout):
    answer = urllib.request.urlopen(url, timeout=timeout, context=ssl._create_unverified_context())
    answer.raise_for_status()
    return answer.json()
