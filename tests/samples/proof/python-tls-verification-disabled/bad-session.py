"""Rates of the central bank."""

import requests


def fetch(url, timeout):
    session = requests.Session()
    session.verify = False
    answer = session.get(url, timeout=timeout)
    answer.raise_for_status()
    return answer.json()
