//! Celery's own tools, unmodified from PyPI, look at a worker of ours and steer it.

mod seen;
mod tools;
