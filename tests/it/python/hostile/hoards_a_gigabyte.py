from airflow import DAG

hoard = b"x" * (1 << 30)
dag = DAG("hoards", description=str(len(hoard)))
