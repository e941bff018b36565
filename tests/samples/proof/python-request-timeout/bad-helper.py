"""Rates of the central bank."""

import requests

def get(url, currency):
    return requests.get(url, params={"currency": currency})



def fetch(url, currency):
    answer = get(url, currency)
    answer.raise_for_status()
    return answer.json()["rates"]
