"""Rates of the central bank."""

import requests


def fetch(url, currency):
    get = requests.get
    answer = get(url, params={"currency": currency})
    answer.raise_for_status()
    return answer.json()["rates"]
