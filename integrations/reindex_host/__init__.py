"""What runs on the web server: METASPACE's script over a list of datasets, for days. Standard library only; Python 3.8 and newer.

The bot packs this folder into one file (`integrations/reindexing.py`) and starts it as a job. See docs/reindexing.md.
"""
