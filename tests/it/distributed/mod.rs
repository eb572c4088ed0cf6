//! The product on several nodes: real RabbitMQ, real Postgres, the real program.

mod chaos;
mod leader;
mod standby;
mod worker;
