"""Rates of the central bank."""

from functools import partial

import requests


def fetch(url, timeout):
    answer = partial(requests.get, verify=False)(url, timeout=timeout)
    answer.raise_for_status()
    return answer.json()
