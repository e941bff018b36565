"""Rates of the central bank."""

import requests


def fetch(url, timeout):
    answer = requests.get(url, timeout=timeout)
    answer.raise_for_status()
    return answer.json()
