"""Rates of the central bank."""

import requests


def fetch(url, currency):
    wait = None
    answer = requests.get(url, params={"currency": currency}, timeout=wait)
    answer.raise_for_status()
    return answer.json()["rates"]
