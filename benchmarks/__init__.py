"""`make bench`: figures, not verdicts. Medians over several rounds, each beside its floor or peer in the same run."""
