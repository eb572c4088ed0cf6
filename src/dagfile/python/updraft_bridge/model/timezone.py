"""`airflow.utils.timezone`, whose `datetime` is a function that makes aware datetimes."""

from .dates import (  # noqa: F401  (exported)
    coerce_datetime, convert_to_utc, is_localized, is_naive, local_timezone, make_aware, make_naive, parse,
    parse_timezone, utc, utcnow,
)
from .dates import aware_datetime as datetime  # noqa: F401
