//! What works over a broker, with real ones: RabbitMQ and Redis on this machine, under names of each test's own.

mod bed;
mod companion;
mod logs;
