"""Rates of the central bank."""

import requests


def fetch(url, timeout):
    get = requests.get
    answer = get(url, timeout=timeout, verify=False)
    answer.raise_for_status()
    return answer.json()
