from airflow.operators.bsh_operator import BashOperator
