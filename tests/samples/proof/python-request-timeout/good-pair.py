"""Rates of the central bank."""

import requests


def fetch(url, currency):
    answer = requests.get(url, params={"currency": currency}, timeout=(3.05, 27))
    answer.raise_for_status()
    return answer.json()["rates"]
