from airflow import DAG
from airflow.operators.bash import BashOperater
