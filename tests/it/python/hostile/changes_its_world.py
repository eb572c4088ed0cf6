import builtins
import os
import signal
import sys

from airflow import DAG
from airflow.operators.empty import EmptyOperator

os.chdir("/")
os.environ.clear()
signal.signal(signal.SIGALRM, signal.SIG_IGN)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
sys.stdout = sys.stderr = None
sys.setrecursionlimit(60000)
builtins.print = None

with DAG("changes_its_world", schedule=None):
    EmptyOperator(task_id="only")
