"""Every ``raise`` of ours is reached by some test: ``PYTHONPATH=tests python -m raises`` runs the tests and says which is not.

- `hook`: makes each statement note that it was reached.
- `sites`: which there are.
"""
