import logging
import os
import sys

from airflow import DAG
from airflow.operators.python import PythonOperator

print("hello from the top level")
print("and to stderr", file=sys.stderr)
os.write(1, b"\x00\xff straight to the descriptor\n")
logging.getLogger().warning("a warning at import")

with DAG("prints_at_import", schedule=None):
    PythonOperator(task_id="only", python_callable=lambda: 1)
