# expect taskflow_etl: extract=success transform=success load=success summary=success loud=success -> success
"""Airflow's TaskFlow tutorial."""
import json

import pendulum

from airflow.decorators import dag, task


@dag(schedule=None, start_date=pendulum.datetime(2021, 1, 1, tz="UTC"), catchup=False, tags=["example"])
def taskflow_etl():
    """
    ### TaskFlow API Tutorial Documentation
    """

    @task()
    def extract():
        data_string = '{"1001": 301.27, "1002": 433.21, "1003": 502.22}'
        return json.loads(data_string)

    @task(multiple_outputs=True)
    def transform(order_data_dict: dict):
        return {"total_order_value": sum(order_data_dict.values()), "count": len(order_data_dict)}

    @task()
    def load(total_order_value: float):
        assert round(total_order_value, 2) == 1236.7, total_order_value

    @task
    def summary(count: int, ti=None, *, ds, **context):
        assert count == 3 and ti.task_id == "summary" and context["ds_nodash"] == ds.replace("-", "")
        return f"{count} orders"

    @task.bash(env={"WORD": "{{ dag.dag_id }}"}, append_env=True)
    def loud(text):
        return f"echo \"$WORD: {text}\""

    order_data = extract()
    order_summary = transform(order_data)
    load(order_summary["total_order_value"])
    loud(summary(order_summary["count"]))


taskflow_etl()
