"""Rates of the central bank."""

import requests


def fetch(url, currency):
    options = {"timeout": None}
    answer = requests.get(url, params={"currency": currency}, **options)
    answer.raise_for_status()
    return answer.json()["rates"]
