"""`import airflow` of a file that a person runs as a program: `PYTHONPATH=$UPDRAFT_HOME/cache/python/updraft_bridge/by_hand python3 my_dag.py`.

It hands over to the stand-in and takes its own place away. Updraft itself never
has this folder on the path, so that an installed Airflow is not hidden from it.
"""

import importlib
import os
import sys

_package = os.path.abspath(__file__)
for _ in range(4):
    _package = os.path.dirname(_package)
if _package not in sys.path:
    sys.path.append(_package)

from updraft_bridge import finder  # noqa: E402

finder.install()
del sys.modules["airflow"]
sys.modules["airflow"] = importlib.import_module("airflow")
