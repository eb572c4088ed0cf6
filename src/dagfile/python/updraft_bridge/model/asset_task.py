"""The task that `@asset` makes: it calls the function with the assets that it reads."""

from .asset import Asset
from .operators import PythonOperator, call
from .signature import signature


class AssetTask(PythonOperator):
    """Fills the function's parameters by their names."""

    def __init__(self, made, **kwargs):
        super().__init__(**kwargs)
        self.made = made

    @property
    def task_type(self):
        return "@asset"

    operator_name = task_type

    def execute(self, context):
        given = {}
        for name in signature(self.python_callable).parameters:
            if name == "self":
                given[name] = self.made
            elif name == "context":
                given[name] = context
            elif name not in context:
                given[name] = Asset(name=name)
        return call(self.python_callable, [], given, context)


def make(made, outlets, name, function, arguments):
    from .context import NAMES
    from .dag import DAG

    read = [p for p in signature(function).parameters if p not in ("self", "context") and p not in NAMES]
    with DAG(arguments.pop("dag_id", None) or name, **arguments):
        AssetTask(made, task_id=name, python_callable=function, outlets=outlets, inlets=[Asset(name=p) for p in read])
