"""Rates of the central bank."""

import requests


def fetch(url, currency):
    answer = requests.get("https://example.org", params={}, timeout=30)
    answer.raise_for_status()
    return answer.json()["rates"]
