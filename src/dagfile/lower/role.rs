//! Setups and teardowns as written: who is what, and what Airflow forbids between them.

use crate::dagfile::spec::TaskSpec;
use crate::dagfile::written::{At, Teardown};
use crate::domain::dag::TaskDefinition;
use crate::domain::ids::TaskId;
use crate::domain::setup::TaskRole;
use crate::domain::trigger::TriggerRule;

use super::{Notes, position};

/// The setups that a teardown names; it waits for them like for any upstream.
pub(super) fn setups(spec: &TaskSpec) -> Vec<At<String>> {
    spec.teardown.as_ref().map(|at| at.value.setups.0.clone()).unwrap_or_default()
}

pub(super) fn lower(spec: &TaskSpec, notes: &mut Notes) -> TaskRole {
    let is_setup = spec.setup.as_ref().is_some_and(|at| at.value);
    match &spec.teardown {
        Some(At { value: Teardown { wanted: true, on_failure_fail_dagrun, .. }, .. }) => {
            if is_setup {
                notes.error(
                    position(&spec.setup),
                    "the task is both `setup` and `teardown`: it can be only one of them",
                );
            }
            TaskRole::Teardown { on_failure_fail_dagrun: *on_failure_fail_dagrun }
        }
        Some(_) | None if is_setup => TaskRole::Setup,
        Some(_) | None => TaskRole::Work,
    }
}

/// The rule that the task has in its role, and whether its author asked for another one.
pub(super) fn trigger_rule(role: TaskRole, written: TriggerRule) -> (TriggerRule, bool) {
    match role {
        TaskRole::Work | TaskRole::Setup => (written, false),
        TaskRole::Teardown { .. } => {
            let implied = TriggerRule::AllDoneSetupSuccess;
            (implied, written != implied && written != TriggerRule::default())
        }
    }
}

/// What a teardown calls its setups are setups; what follows a setup directly has the usual rule.
pub(super) fn finish(tasks: &mut [TaskDefinition], named_setups: &[String], notes: &mut Notes) {
    for name in named_setups {
        let Some(task) = tasks.iter_mut().find(|task| task.task_id.as_str() == name) else { continue };
        match task.role {
            TaskRole::Work | TaskRole::Setup => task.role = TaskRole::Setup,
            TaskRole::Teardown { .. } => {
                notes.error(
                    None,
                    format!("task `{name}` is a teardown and is named as a setup: it can be only one of them"),
                );
            }
        }
    }
    let setups: Vec<TaskId> =
        tasks.iter().filter(|task| task.role.is_setup()).map(|task| task.task_id.clone()).collect();
    for task in tasks.iter().filter(|task| !task.role.is_teardown() && task.trigger_rule != TriggerRule::AllSuccess) {
        if let Some(setup) = task.upstream.iter().find(|upstream| setups.contains(upstream)) {
            let (id, rule) = (&task.task_id, task.trigger_rule);
            let message = format!("task `{id}` follows the setup `{setup}` with the trigger rule `{rule}`");
            notes.error_with(None, message, "what follows a setup directly has `all_success`".to_owned());
        }
    }
}
