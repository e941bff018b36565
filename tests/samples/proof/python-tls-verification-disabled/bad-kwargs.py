"""Rates of the central bank."""

import requests


def fetch(url, timeout):
    options = {"verify": False}
    answer = requests.get(url, timeout=timeout, **options)
    answer.raise_for_status()
    return answer.json()
