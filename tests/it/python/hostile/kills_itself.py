import os
import signal

from airflow import DAG

os.kill(os.getpid(), signal.SIGKILL)
