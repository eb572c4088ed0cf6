from airflow import DAG
import pandsa_of_nobody
