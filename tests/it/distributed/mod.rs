//! The product on several nodes: real RabbitMQ, real Postgres, the real program.

mod leader;
mod standby;
mod together;
mod worker;
