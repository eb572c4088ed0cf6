from airflow import DAG
from circular_two import two

one = DAG("one")
