"""What every fixer that changes text needs: exact edits of files, strings with holes, and what SQL and a shell make of them.

Pure; knows no rule and no fixer. It stands beside `pipeline.syntax` because plug-ins do not import each other.
"""
