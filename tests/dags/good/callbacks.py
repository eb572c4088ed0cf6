"""Callbacks, notifiers and deadlines in their spellings."""
import functools
from datetime import datetime, timedelta, timezone

from airflow.operators.bash import BashOperator
from airflow.providers.smtp.notifications.smtp import send_smtp_notification
from airflow.providers.slack.notifications.slack import SlackNotifier, send_slack_notification
from airflow.sdk import DAG, BaseNotifier, task
from airflow.sdk.definitions.deadline import AsyncCallback, DeadlineAlert, DeadlineReference


def tell(context, who="plain"):
    print(who, context["ti"].state)


async def late(context=None, text=""):
    print(text, context["deadline"])


class Chat(BaseNotifier):
    template_fields = ("text",)

    def __init__(self, text):
        self.text = text

    def notify(self, context):
        tell(context, self.text)


in_time = DeadlineAlert(
    DeadlineReference.DAGRUN_QUEUED_AT, timedelta(minutes=5), AsyncCallback(late, {"text": "{{ run_id }}"})
)
unknown = DeadlineAlert(DeadlineReference.AVERAGE_RUNTIME(), timedelta(minutes=5), AsyncCallback(late))
fixed = DeadlineAlert(
    DeadlineReference.FIXED_DATETIME(datetime(2026, 1, 1, tzinfo=timezone.utc)), timedelta(hours=-1),
    AsyncCallback("told_path.fn"),
)

with DAG(
    "callbacks", schedule=None, on_failure_callback=functools.partial(tell, who="dag"),
    default_args={"on_retry_callback": tell, "sla": timedelta(hours=1)}, deadline=[in_time, unknown, fixed],
):

    @task(
        on_failure_callback=[tell, SlackNotifier(text="x"), send_slack_notification(text="y"), Chat("{{ ti.task_id }}")],
        on_execute_callback=tell,
    )
    def fails():
        raise ValueError("no rows")

    fails()
    BashOperator(task_id="works", bash_command="true", on_success_callback=tell, on_execute_callback=tell)
    mail = send_smtp_notification(to="ops@example.org", subject="{{ ti.task_id }}")
    BashOperator(task_id="mails", bash_command="true", email=["a@example.org"], email_on_retry=False,
                 on_retry_callback=None, on_failure_callback=[tell, mail, tell])

    @task(on_execute_callback=[tell, mail], email="a@example.org", email_on_failure=False, on_retry_callback=[])
    def begins():
        pass

    begins()
