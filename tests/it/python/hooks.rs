//! What Python code reaches by connections: HTTP and mail without any package, databases by a driver.

use std::process::Command;

use updraft::domain::state::TaskState;

use super::run_on_a_date;
use crate::kit::Home;
use crate::operators::servers;

const CALLS: &str = "\
from datetime import datetime

from airflow import DAG
from airflow.hooks.base import BaseHook
from airflow.operators.email import EmailOperator
from airflow.operators.python import PythonOperator
from airflow.providers.http.hooks.http import HttpHook
from airflow.providers.postgres.hooks.postgres import PostgresHook
from airflow.utils.email import send_email


def found():
    assert type(BaseHook.get_hook('site')) is HttpHook
    response = HttpHook('GET', http_conn_id='site').run('ok?page=1')
    assert response.status_code == 200 and response.json()['state'] == 'ready'
    return response.json()['rows']


def missing():
    HttpHook(method='GET', http_conn_id='site').run('nowhere')


def mail():
    send_email(['ann@example.org', 'bob@example.org'], 'A subject', '<b>hello</b>', cc='cid@example.org')


def database():
    return PostgresHook(postgres_conn_id='warehouse').get_first('SELECT 41 + 1')[0]


class LoudMail(EmailOperator):
    def execute(self, context):
        self.subject = self.subject.upper()
        return super().execute(context)


with DAG('calls', schedule=None, start_date=datetime(2024, 1, 1), default_args={'retries': 0}):
    for function in (found, missing, mail, database):
        PythonOperator(task_id=function.__name__, python_callable=function)
    LoudMail(task_id='own', to='dan@example.org', subject='of {{ ds }}', html_content='x')
";

#[test]
fn python_code_calls_sites_sends_mail_and_asks_databases_by_the_connections_of_the_node() {
    let (http, heard) = servers::http();
    let (smtp, mails) = servers::smtp();
    let postgres = std::env::var("UPDRAFT_TEST_POSTGRES")
        .unwrap_or_else(|_| "postgres://postgres@127.0.0.1:5432/postgres".to_owned());
    let home = Home::new()
        .with_variable("AIRFLOW_CONN_SITE", &format!("http://me:secret@127.0.0.1:{http}"))
        .with_variable("AIRFLOW_CONN_SMTP_DEFAULT", &format!("smtp://127.0.0.1:{smtp}?from_email=me%40example.org"))
        .with_variable("AIRFLOW_CONN_WAREHOUSE", &postgres);
    home.write("calls.py", CALLS);
    let _node = home.start();
    let run = run_on_a_date(&home, "calls");
    assert_eq!(home.xcom(&run.row, "found", "return_value"), serde_json::json!([1, 2]));
    assert_eq!(run.task("missing").state, TaskState::Failed);
    assert!(home.log(&run.row, "missing", 1).contains("404:Not Found"));
    let heard = heard.lock().expect("nobody panicked");
    assert!(heard.iter().any(|request| request.contains("Basic bWU6c2VjcmV0")), "{heard:?}");

    assert_eq!((run.task("mail").state, run.task("own").state), (TaskState::Success, TaskState::Success));
    let mails = mails.lock().expect("nobody panicked");
    let found = |words: &[&str]| mails.iter().any(|mail| words.iter().all(|word| mail.contains(word)));
    assert!(found(&["ann@example.org", "bob@example.org", "cid@example.org", "Subject: A subject"]), "{mails:?}");
    assert!(found(&["To: dan@example.org", "Subject: OF 2026-01-15"]), "{mails:?}");

    let driver = "import importlib.util as u, sys; \
        sys.exit(not any(u.find_spec(n) for n in ('psycopg2', 'psycopg', 'pg8000')))";
    let has_driver = Command::new("python3").args(["-c", driver]).status().expect("python3").success();
    if has_driver && postgres != "none" {
        assert_eq!(home.xcom(&run.row, "database", "return_value"), 42);
    } else {
        assert_eq!(run.task("database").state, TaskState::Failed);
        let log = home.log(&run.row, "database", 1);
        assert!(has_driver || log.contains("-m pip install psycopg2-binary"), "{log}");
    }
}
