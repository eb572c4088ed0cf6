from airflow import DAG
from helper import compute

compute({})
