"""Updraft's Python side of DAG files: a stand-in for `airflow`, and the two
things that a child process does with a DAG file: describe it, or run one of
its tasks.

Standard library only, Python 3.9 to 3.14. This package never opens a network
connection, never reads Updraft's store, and never writes to file descriptors
0 to 2 except as the author's own code asks it to.
"""
