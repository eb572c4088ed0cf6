"""What authors build on: an operator, a notifier, and an operator that waits for a trigger.

    greet ──► wait
"""

from datetime import datetime, timedelta

from airflow.providers.standard.triggers.temporal import TimeDeltaTrigger
from airflow.sdk import DAG, BaseNotifier, BaseOperator, Context


class Printed(BaseNotifier):
    """Tells the log; a chat would be told the same way."""

    template_fields = ("message",)

    def __init__(self, message: str):
        super().__init__()
        self.message = message

    def notify(self, context: Context):
        print(self.message)


class GreetOperator(BaseOperator):
    template_fields = ("name",)

    def __init__(self, name: str, **kwargs):
        super().__init__(**kwargs)
        self.name = name

    def execute(self, context: Context):
        self.log.info("hello %s", self.name)
        return self.name


class WaitOperator(BaseOperator):
    """Defers to a trigger, and goes on in another method when it has fired."""

    def execute(self, context: Context):
        self.defer(trigger=TimeDeltaTrigger(timedelta(seconds=1)), method_name="done")

    def done(self, context: Context, event=None):
        return str(event)


with DAG("example_own_classes", schedule=None, start_date=datetime(2024, 1, 1), tags=["example"],
         on_success_callback=Printed("run {{ run_id }} has succeeded")):
    GreetOperator(task_id="greet", name="{{ dag.dag_id }}") >> WaitOperator(task_id="wait")
