//! The product on several nodes: real RabbitMQ, real Postgres, the real program.

mod bed;
mod companion;
mod leader;
mod logs;
mod standby;
mod together;
mod worker;
