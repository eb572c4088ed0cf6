//! What tasks and groups are expanded over, and the groups themselves.

use std::collections::BTreeSet;

use crate::dagfile::spec::{GroupSpec, TaskSpec};
use crate::dagfile::written::{At, ExpandSource, Expansion, Groups, Position};
use crate::domain::dag::TaskDefinition;
use crate::domain::expand::{Argument, Expand, Source, TaskGroup};
use crate::domain::ids::{GroupId, TaskId};
use crate::domain::operator::{Bash, Operator, Python, PythonCode};
use crate::domain::problem::suggestion;

use super::Notes;

/// The key of an XCom where none is named.
const RETURN_VALUE: &str = "return_value";

/// What is written under `expand` or `expand_kwargs`.
pub(super) fn expand(
    by_argument: Option<&Expansion>,
    kwargs: Option<&At<ExpandSource>>,
    notes: &mut Notes,
) -> Option<Expand> {
    match (by_argument, kwargs) {
        (None, None) => None,
        (Some(_), Some(At { position, .. })) => {
            notes.error(*position, "`expand` and `expand_kwargs` do not go together: write one of them");
            None
        }
        (None, Some(At { value, position })) => source(value, *position, notes).map(|source| Expand::Kwargs { source }),
        (Some(Expansion(arguments)), None) => {
            if arguments.is_empty() {
                notes.error(None, "`expand` needs at least one argument");
            }
            let argument = |(name, At { value, position }): &(At<String>, At<ExpandSource>)| {
                let source = source(value, *position, notes)?;
                Some(Argument { name: name.value.clone(), source })
            };
            let arguments = arguments.iter().map(argument).collect::<Option<_>>()?;
            Some(Expand::Product { arguments })
        }
    }
}

fn source(written: &ExpandSource, position: Option<Position>, notes: &mut Notes) -> Option<Source> {
    Some(match written {
        ExpandSource::List(values) => Source::List { values: values.clone() },
        ExpandSource::Dict(entries) => Source::Dict { entries: entries.clone() },
        ExpandSource::XCom { task_id, key } => {
            let task_id = TaskId::new(task_id).map_err(|invalid| notes.error(position, invalid.to_string())).ok()?;
            Source::XCom { task_id, key: key.clone().unwrap_or_else(|| RETURN_VALUE.to_owned()) }
        }
        ExpandSource::Zip { sources, fill } => {
            Source::Zip { sources: all(sources, position, notes)?, fill: fill.clone() }
        }
        ExpandSource::Concat(sources) => Source::Concat { sources: all(sources, position, notes)? },
        ExpandSource::Map(inner) => Source::Map { source: Box::new(source(inner, position, notes)?) },
    })
}

fn all(written: &[ExpandSource], position: Option<Position>, notes: &mut Notes) -> Option<Vec<Source>> {
    written.iter().map(|one| source(one, position, notes)).collect()
}

/// The tasks whose values it is expanded over, as something to wait for.
pub(super) fn sources(expand: &Expand, position: Option<Position>) -> Vec<At<String>> {
    expand.wants().into_iter().map(|(task, _)| At { value: task.to_string(), position }).collect()
}

/// Arguments that the operator does not have, or that are given already, are slips.
pub(super) fn check_arguments(spec: &TaskSpec, operator: &Operator, expand: &Expand, notes: &mut Notes) {
    let in_dag_file = matches!(operator, Operator::Python(Python { code: PythonCode::DagFile { .. }, .. }));
    if expand.needs_python() && !in_dag_file {
        notes.error(None, "`map` needs a function of a Python DAG file");
    }
    let Some(Expansion(arguments)) = spec.expand.as_ref().filter(|_| !in_dag_file) else { return };
    for (At { value: name, position }, _) in arguments {
        let given = match name.as_str() {
            "bash" | "bash_command" => spec.bash.is_some(),
            "env" => spec.env.is_some(),
            "cwd" => spec.cwd.is_some(),
            "append_env" => spec.append_env.is_some(),
            "skip_on_exit_code" => spec.skip_on_exit_code.is_some(),
            "op_args" => spec.op_args.is_some(),
            _ => false,
        };
        if given {
            notes.error(*position, format!("`{name}` is both given and expanded: leave out one of the two"));
        }
        if !operator.has_argument(name) && !is_named_in_a_template(operator, name) {
            let hint = suggestion(name, Bash::ARGUMENTS)
                .unwrap_or_else(|| format!("a template may use it as {{{{ mapped.{name} }}}}"));
            notes.error_with(*position, format!("the task has no argument `{name}` to expand"), hint);
        }
    }
}

fn is_named_in_a_template(operator: &Operator, name: &str) -> bool {
    // Wherever it is said: `{{ mapped.x }}`, `{{ mapped['x'] }}`.
    let text = serde_json::to_string(operator).unwrap_or_default();
    text.contains("mapped") && text.contains(name)
}

/// The groups of a DAG; `tasks` are those that were lowered.
pub(super) fn groups(written: Groups, tasks: &[TaskDefinition], notes: &mut Notes) -> Vec<TaskGroup> {
    let known: BTreeSet<&str> = tasks.iter().map(|task| task.task_id.as_str()).collect();
    let mut groups = Vec::with_capacity(written.0.len());
    for (name, spec) in written.0 {
        let Some(group) = group(&name, &spec, notes) else { continue };
        for (source, _) in group.expand.iter().flat_map(Expand::wants) {
            if !known.contains(source.as_str()) {
                let hint = suggestion(source.as_str(), known.iter().copied());
                let message = format!("group `{}` is expanded over `{source}`, which is no task", group.group_id);
                notes.error_with(name.position, message, hint);
            }
        }
        groups.push(group);
    }
    let names: Vec<&GroupId> = groups.iter().map(|group| &group.group_id).collect();
    for task in tasks {
        let Some(group) = task.group.as_ref().filter(|group| !names.contains(group)) else { continue };
        let hint = suggestion(group.as_str(), names.iter().map(|name| name.as_str()));
        notes.error_with(None, format!("task `{}` stands in `{group}`, which is no task group", task.task_id), hint);
    }
    groups
}

fn group(name: &At<String>, spec: &GroupSpec, notes: &mut Notes) -> Option<TaskGroup> {
    let mut id =
        |text: &str, position| GroupId::new(text).map_err(|invalid| notes.error(position, invalid.to_string())).ok();
    let group_id = id(&name.value, name.position)?;
    let parent = match &spec.parent {
        Some(parent) => Some(id(&parent.value, parent.position)?),
        None => None,
    };
    Some(TaskGroup {
        group_id,
        label: spec.label.clone(),
        tooltip: spec.tooltip.clone(),
        parent,
        expand: expand(spec.expand.as_ref(), spec.expand_kwargs.as_ref(), notes),
    })
}
