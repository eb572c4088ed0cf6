import threading, time
from airflow import DAG
threading.Thread(target=time.sleep, args=(1000,)).start()
dag = DAG("threads", schedule=None)
