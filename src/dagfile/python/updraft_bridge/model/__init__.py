"""The objects that a DAG file makes: DAGs, tasks, groups and the edges between them.

They only record. What they mean is decided on the Rust side; what a task does
when it runs is its `execute`.
"""
