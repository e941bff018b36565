"""Which category of the OWASP Top Ten 2021 a weakness belongs to, by the lists of CWE numbers that its pages have (owasp.org/Top10,
"List of Mapped CWEs" of A01 to A10), and where MITRE describes it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

_CATEGORIES: Final = {
    "A01:2021 - Broken Access Control": (
        "22 23 35 59 200 201 219 264 275 276 284 285 352 359 377 402 425 441 497 538 540 548 552 566 601 639 651 668 706 862 863 913 922"
        " 1275"
    ),
    "A02:2021 - Cryptographic Failures": (
        "261 296 310 319 321 322 323 324 325 326 327 328 329 330 331 335 336 337 338 340 347 523 720 757 759 760 780 818 916"
    ),
    "A03:2021 - Injection": (
        "20 74 75 77 78 79 80 83 87 88 89 90 91 93 94 95 96 97 98 99 100 113 116 138 184 470 471 564 610 643 644 652 917"
    ),
    "A04:2021 - Insecure Design": (
        "73 183 209 213 235 256 257 266 269 280 311 312 313 316 419 430 434 444 451 472 501 522 525 539 579 598 602 642 646 650 653 656 657"
        " 799 807 840 841 927 1021 1173"
    ),
    "A05:2021 - Security Misconfiguration": "2 11 13 15 16 260 315 520 526 537 541 547 611 614 756 776 942 1004 1032 1174",
    "A06:2021 - Vulnerable and Outdated Components": "937 1035 1104",
    "A07:2021 - Identification and Authentication Failures": (
        "255 259 287 288 290 294 295 297 300 302 304 306 307 346 384 521 613 620 640 798 940 1216"
    ),
    "A08:2021 - Software and Data Integrity Failures": "345 353 426 494 502 565 784 829 830 915",
    "A09:2021 - Security Logging and Monitoring Failures": "117 223 532 778",
    "A10:2021 - Server-Side Request Forgery": "918",
}

_OF: Final = {int(number): name for name, numbers in _CATEGORIES.items() for number in numbers.split()}


def owasp(cwe: int) -> tuple[str, ...]:
    """`A03:2021 - Injection`; empty for what no category of theirs lists."""
    return (_OF[cwe],) if cwe in _OF else ()


def page_of(cwe: int) -> str:
    """Where the weakness is described."""
    return f"https://cwe.mitre.org/data/definitions/{cwe}.html"


SECRETS: Final = frozenset({256, 257, 259, 260, 312, 321, 522, 540, 615, 798})
"""What is about a secret that stands where it should not."""

_FAMILIES: Final = tuple(
    frozenset(map(int, numbers.split()))
    for numbers in (
        "77 78 88",
        "89 564 943",
        "79 80 81 83 84 85 86 87 116 1336",
        "94 95 96 1336",
        "22 23 24 35 36 73 59",
        "502 915",
        "611 776 827",
        "295 296 297 298 299 345",
        "261 327 328 759 760 916",
        "330 331 335 336 337 338 340",
        "311 319 614 1004 1275",
        "11 209 215 489",
        "400 770 772 1088",
        "377 378 379",
        "353 494 829 830 1357",
        "250 266 269 272 276 732",
        "256 257 259 260 312 321 522 540 615 798",
    )
)
"""Weaknesses that different scanners name for the same line. Neighbours in MITRE's views 1000 and 699, taken closely."""


def same_family(some: Iterable[int], others: Iterable[int]) -> bool:
    """Whether one of these weaknesses and one of those may be two names of the same thing. 0 is none."""
    left, right = set(some) - {0}, set(others) - {0}
    return bool(left & right) or any(left & family and right & family for family in _FAMILIES)
