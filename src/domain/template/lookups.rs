//! What a template wants of the store: variables, connections, XComs.
//!
//! Rendering is pure and cannot wait. So a name that is not known yet leaves a
//! [`Wanted`] here; whoever renders fulfils the wishes and renders again.
//!
//! ```text
//!   render ─► wanted? ─ no ─► done, or a real mistake
//!      ▲        │ yes
//!      └─ found ◄─ ask the scheduler
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use minijinja::value::{Enumerator, Kwargs, Object, ObjectRepr, Rest, Serde, Value, ValueKind};
use minijinja::{Error, ErrorKind, State};
use serde_json::Value as Json;

use crate::domain::connection::Connection;

/// A value that a template mentions.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wanted {
    Variable(String),
    Connection(String),
    /// Of the same run unless `run_id` and `dag_id` name another.
    XCom {
        task_id: String,
        key: String,
        map_index: Option<i32>,
        dag_id: Option<String>,
        run_id: Option<String>,
    },
    /// Of any task, or of this or an earlier run.
    NewestXCom {
        task_id: Option<String>,
        key: String,
        dag_id: Option<String>,
        run_id: Option<String>,
        prior_dates: bool,
    },
}

/// What there is under that name; `None`: nothing.
#[derive(Clone)]
pub enum Found {
    Variable(Option<String>),
    Connection(Option<Box<Connection>>),
    XCom(Option<Json>),
    /// The question was refused, and why.
    Refused(String),
}

/// What was found so far, and what is wanted. Every clone is the same.
#[derive(Clone, Default)]
pub struct Lookups(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    found: BTreeMap<Wanted, Found>,
    wanted: BTreeSet<Wanted>,
}

impl fmt::Debug for Lookups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Lookups").field(&self.inner().wanted).finish()
    }
}

impl Lookups {
    /// What has to be found before rendering once more can say more.
    pub fn wanted(&self) -> Vec<Wanted> {
        self.inner().wanted.iter().cloned().collect()
    }

    /// Fulfils a wish.
    pub fn put(&self, wanted: Wanted, found: Found) {
        let mut inner = self.inner();
        inner.wanted.remove(&wanted);
        inner.found.insert(wanted, found);
    }

    /// Nothing here can be half-done, so a panic elsewhere spoils nothing.
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `Ok(None)`: there is none, or it is not known yet.
    fn look_up(&self, wanted: Wanted) -> Result<Option<Found>, Error> {
        let mut inner = self.inner();
        match inner.found.get(&wanted) {
            Some(Found::Refused(why)) => Err(Error::new(ErrorKind::InvalidOperation, why.clone())),
            Some(found) => Ok(Some(found.clone())),
            None => {
                inner.wanted.insert(wanted);
                Ok(None)
            }
        }
    }

    pub(super) fn variables(&self) -> Value {
        let namespace = |json| Value::from_object(Variables { lookups: self.clone(), json });
        Value::from(BTreeMap::from([("value", namespace(false)), ("json", namespace(true))]))
    }

    pub(super) fn connections(&self) -> Value {
        Value::from_object(Connections(self.clone()))
    }

    /// The fields of a task instance, and `xcom_pull`.
    pub(super) fn task_instance(&self, fields: Value, task_id: &str, any_task: bool) -> Value {
        Value::from_object(TaskInstance { fields, task_id: task_id.to_owned(), any_task, lookups: self.clone() })
    }
}

/// An error inside a value comes out where the value is used.
fn invalid(result: Result<Option<Value>, Error>) -> Option<Value> {
    result.unwrap_or_else(|error| Some(Value::from(error)))
}

fn unknown_method(what: &str, method: &str) -> Error {
    Error::new(ErrorKind::UnknownMethod, format!("{what} has no method named {method}"))
}

/// `.get('x')` and `.get('x', d)`, also `default_var=d`.
fn get(args: &[Value], look_up: impl FnOnce(&str) -> Result<Option<Value>, Error>) -> Result<Value, Error> {
    let (name, default, kwargs): (String, Option<Value>, Kwargs) = minijinja::value::from_args(args)?;
    let named: Option<Value> = match kwargs.get("default_var")? {
        Some(value) => Some(value),
        None => kwargs.get("default")?,
    };
    kwargs.assert_all_used()?;
    Ok(look_up(&name)?.or(default).or(named).unwrap_or(Value::UNDEFINED))
}

/// `var.value` and `var.json`.
#[derive(Debug)]
struct Variables {
    lookups: Lookups,
    json: bool,
}

impl Variables {
    fn variable(&self, key: &str) -> Result<Option<Value>, Error> {
        let Some(Found::Variable(Some(text))) = self.lookups.look_up(Wanted::Variable(key.to_owned()))? else {
            return Ok(None);
        };
        if !self.json {
            return Ok(Some(Value::from(text)));
        }
        let json: Json = serde_json::from_str(&text).map_err(|error| {
            // Where, and not what: the value may be a secret.
            let place = format!("line {}, column {}", error.line(), error.column());
            Error::new(ErrorKind::InvalidOperation, format!("the variable `{key}` is not JSON: see its {place}"))
        })?;
        Ok(Some(Value::from(Serde(json))))
    }
}

impl Object for Variables {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        invalid(self.variable(key.as_str()?))
    }

    fn call_method(self: &Arc<Self>, _: &mut State<'_, '_>, method: &str, args: &[Value]) -> Result<Value, Error> {
        match method {
            "get" => get(args, |key| self.variable(key)),
            _ => Err(unknown_method("var", method)),
        }
    }
}

/// `conn`.
#[derive(Debug)]
struct Connections(Lookups);

impl Connections {
    fn connection(&self, id: &str) -> Result<Option<Value>, Error> {
        let Some(Found::Connection(Some(connection))) = self.0.look_up(Wanted::Connection(id.to_owned()))? else {
            return Ok(None);
        };
        Ok(Some(Value::from_object(OneConnection { id: id.to_owned(), connection: *connection })))
    }
}

impl Object for Connections {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        invalid(self.connection(key.as_str()?))
    }

    fn call_method(self: &Arc<Self>, _: &mut State<'_, '_>, method: &str, args: &[Value]) -> Result<Value, Error> {
        match method {
            "get" => get(args, |id| self.connection(id)),
            _ => Err(unknown_method("conn", method)),
        }
    }
}

/// `conn.id`, which reads as its id.
#[derive(Debug)]
struct OneConnection {
    id: String,
    connection: Connection,
}

impl Object for OneConnection {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let text = |text: &Option<String>| Value::from(text.clone());
        let connection = &self.connection;
        Some(match key.as_str()? {
            "conn_id" => Value::from(self.id.clone()),
            "conn_type" => Value::from(connection.conn_type.clone()),
            "description" => text(&connection.description),
            "host" => text(&connection.host),
            "login" => text(&connection.login),
            "password" => text(&connection.password),
            "schema" => text(&connection.schema),
            "port" => Value::from(connection.port),
            "extra" => text(&connection.extra),
            "extra_dejson" => Value::from(Serde(connection.extra_object().unwrap_or_default())),
            _ => return None,
        })
    }

    fn call_method(self: &Arc<Self>, _: &mut State<'_, '_>, method: &str, args: &[Value]) -> Result<Value, Error> {
        match method {
            "get_uri" => {
                minijinja::value::from_args::<()>(args)?;
                Ok(Value::from(self.connection.uri()))
            }
            _ => Err(unknown_method("a connection", method)),
        }
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.id)
    }
}

/// `ti`.
#[derive(Debug)]
struct TaskInstance {
    fields: Value,
    task_id: String,
    /// Who names no task means any.
    any_task: bool,
    lookups: Lookups,
}

impl TaskInstance {
    /// One value, or a list of them where a list of tasks is asked for. What was not pushed is None.
    fn xcom_pull(&self, args: &[Value]) -> Result<Value, Error> {
        let (task_ids, kwargs): (Option<Value>, Kwargs) =
            match minijinja::value::from_args::<(Rest<Value>, Kwargs)>(args)? {
                (positional, kwargs) if positional.len() <= 1 => (positional.first().cloned(), kwargs),
                _ => {
                    let message =
                        "xcom_pull takes one positional argument, the others by name: xcom_pull('a', key='k')";
                    return Err(Error::new(ErrorKind::TooManyArguments, message));
                }
            };
        let task_ids = match task_ids {
            Some(ids) => Some(ids),
            None => kwargs.get::<Option<Value>>("task_ids")?,
        };
        let key: Option<String> = kwargs.get("key")?;
        let map_index: Option<i32> = kwargs.get("map_indexes")?;
        let dag_id: Option<String> = kwargs.get("dag_id")?;
        let run_id: Option<String> = kwargs.get("run_id")?;
        let default: Option<Value> = kwargs.get("default")?;
        let prior_dates = kwargs.get::<Option<bool>>("include_prior_dates")?.unwrap_or(false);
        kwargs.assert_all_used()?;
        let key = key.unwrap_or_else(|| "return_value".to_owned());
        let pull_of = |task_id: Option<String>| {
            let (key, dag_id, run_id) = (key.clone(), dag_id.clone(), run_id.clone());
            let wanted = match task_id {
                Some(task_id) if !prior_dates => Wanted::XCom { task_id, key, map_index, dag_id, run_id },
                task_id => Wanted::NewestXCom { task_id, key, dag_id, run_id, prior_dates },
            };
            Ok(match self.lookups.look_up(wanted)? {
                Some(Found::XCom(Some(value))) => Value::from(Serde(value)),
                Some(_) | None => default.clone().unwrap_or_else(|| Value::from(())),
            })
        };
        let pull = |task_id: String| pull_of(Some(task_id));
        let unnamed = (!self.any_task).then(|| self.task_id.clone());
        match task_ids {
            None => pull_of(unnamed),
            Some(ids) if ids.is_none() => pull_of(unnamed),
            Some(ids) if ids.kind() == ValueKind::String => pull(ids.to_string()),
            Some(ids) => {
                let pulled: Result<Vec<Value>, Error> = ids.try_iter()?.map(|id| pull(id.to_string())).collect();
                pulled.map(Value::from)
            }
        }
    }
}

impl Object for TaskInstance {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.fields.get_item(key).ok().filter(|value| !value.is_undefined())
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        self.fields.try_iter().map_or(Enumerator::NonEnumerable, |keys| Enumerator::Values(keys.collect()))
    }

    fn call_method(self: &Arc<Self>, _: &mut State<'_, '_>, method: &str, args: &[Value]) -> Result<Value, Error> {
        match method {
            "xcom_pull" => self.xcom_pull(args),
            _ => Err(unknown_method("ti", method)),
        }
    }
}

#[cfg(test)]
mod tests;
