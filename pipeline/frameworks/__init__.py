"""Looks of our own at what applications of a web framework do wrong where no flow of data shows it: who may ask, what visitors are told,
what a setting leaves open, what a template lets through.

Each look reads one file and nothing else, so what it says can be cached by blob and is the same in a pull request and in a whole scan.
`look` gives everything that is found in a file; `book.RULES` what it means. Nothing of the file is run.
"""
