import atexit
import threading
import time

from airflow import DAG
from airflow.operators.empty import EmptyOperator

threading.Thread(target=time.sleep, args=(1000,)).start()
atexit.register(time.sleep, 1000)

with DAG("starts_threads", schedule=None):
    EmptyOperator(task_id="only")
