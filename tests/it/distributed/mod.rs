//! Nodes that meet at a broker: real RabbitMQ, real processes.

mod celery;
mod worker;
