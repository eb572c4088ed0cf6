from airflow import DAG
import circular_a
