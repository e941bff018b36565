"""What Fixwright talks about: frozen dataclasses, standard library only.

Import from the submodule that owns a name (`from pipeline.model.finding import Finding`).
"""
