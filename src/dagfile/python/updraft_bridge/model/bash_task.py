"""`@task.bash`: a function that returns the Bash command to run."""

from .exceptions import AirflowException
from .operators import BashOperator, call
from .taskflow import DecoratedOperator
from .xcom_arg import resolve


# How a template of the command's surroundings is called among the arguments of the function.
_AMONG = "@%s"


class BashDecorated(DecoratedOperator):
    """The task that a call of a `@task.bash` function makes."""

    def __init__(self, env=None, append_env=False, output_encoding="utf-8", skip_on_exit_code=99, cwd=None,
                 output_processor=None, **kwargs):
        super().__init__(**kwargs)
        self.bash = dict(env=env, append_env=append_env, output_encoding=output_encoding, cwd=cwd,
                         skip_on_exit_code=skip_on_exit_code, output_processor=output_processor)
        # Known when it runs.
        self.bash_command = None
        self._process = None

    def rendered_arguments(self):
        args, kwargs = super().rendered_arguments()
        kwargs.update({_AMONG % name: self.bash[name] for name in ("env", "cwd") if self.bash[name] is not None})
        return args, kwargs

    def take_rendered(self, args, kwargs):
        kwargs = dict(kwargs)
        for name in ("env", "cwd"):
            self.bash[name] = kwargs.pop(_AMONG % name, self.bash[name])
        super().take_rendered(args, kwargs)

    def execute(self, context):
        args = [resolve(a, context) for a in self.op_args]
        kwargs = {k: resolve(v, context) for k, v in dict(self.op_kwargs).items()}
        command = call(self.python_callable, args, kwargs, context)
        if not isinstance(command, str) or not command.strip():
            raise AirflowException("expected the function of @task.bash `%s` to return a command, got: %r"
                                   % (self.task_id, command))
        self.bash_command = command
        self.log.info("Running command: %s", command)
        return BashOperator.run_command(self, command, **dict(self.bash, env=resolve(self.bash["env"], context)))

    on_kill = BashOperator.on_kill
