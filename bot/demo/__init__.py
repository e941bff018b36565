"""`make demo`: the whole thread on one machine, narrated. `content` is the repository, `story` the steps, `local` one host for them."""
