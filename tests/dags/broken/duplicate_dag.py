from airflow import DAG

one = DAG("same", schedule=None)
two = DAG("same", schedule=None)
