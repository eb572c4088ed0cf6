//! The product on several nodes: real RabbitMQ, Redis and Postgres, the real program, under names of each test's own.

mod bed;
mod celery;
mod chaos;
mod companion;
mod leader;
mod logs;
mod standby;
mod together;
mod worker;
