//! One task as written, with the DAG's `default_args` and the configured defaults under it.

use std::num::NonZeroU32;

use chrono_tz::Tz;

use crate::dagfile::spec::TaskSpec;
use crate::dagfile::written::{At, Position};
use crate::domain::dag::{TaskDefinition, WeightRule};
use crate::domain::ids::{GroupId, PoolName, QueueName, TaskId};
use crate::domain::past::PastRule;
use crate::domain::problem::suggestion;
use crate::domain::time::Time;
use crate::domain::trigger::TriggerRule;

use super::asset::Known;
use super::{Defaults, Notes, callback, instant, mapping, operator, param, position, role, wiring};

/// More tries than anybody waits for; a number above it is a slip of the keyboard.
const MOST_RETRIES: u32 = 10_000;

/// What a task inherits.
pub(super) struct Scope<'a> {
    pub common: &'a TaskSpec,
    pub defaults: &'a Defaults,
    pub timezone: Tz,
    pub start_date: Option<Time>,
    pub end_date: Option<Time>,
}

/// `default_args` can say everything except who a task is and what it waits for.
pub(super) fn check_defaults(common: &TaskSpec, notes: &mut Notes) {
    if let Some(id) = &common.task_id {
        notes.error(id.position, "`default_args` cannot name a task: `task_id` belongs to one task");
    }
    if let Some(upstream) = common.depends_on.0.first() {
        notes.error(upstream.position, "`default_args` cannot order tasks: `depends_on` belongs to one task");
    }
    let of_one_task = [
        ("setup", common.setup.as_ref().map(|at| at.position)),
        ("teardown", common.teardown.as_ref().map(|at| at.position)),
        ("branch", common.branch.as_ref().map(|at| at.position)),
        ("short_circuit", common.short_circuit.as_ref().map(|at| at.position)),
        ("latest_only", common.latest_only.map(|_| None)),
    ];
    for (key, written) in of_one_task {
        if let Some(position) = written {
            notes.error(position, format!("`default_args` cannot say `{key}`: it belongs to one task"));
        }
    }
    if let Some((name, _)) = common.expand.as_ref().and_then(|expand| expand.0.first()) {
        notes.error(name.position, "`default_args` cannot expand tasks: `expand` belongs to one task");
    }
    if let Some(At { position, .. }) = &common.expand_kwargs {
        notes.error(*position, "`default_args` cannot expand tasks: `expand_kwargs` belongs to one task");
    }
}

/// Lowers the tasks and the order between them. What comes back is complete only if no error was noted.
pub(super) fn lower_all(
    written: Vec<At<TaskSpec>>,
    scope: &Scope,
    assets: &mut Known,
    notes: &mut Notes,
) -> Vec<TaskDefinition> {
    let mut tasks = Vec::with_capacity(written.len());
    let mut links = wiring::Links::default();
    let mut named_setups = Vec::new();
    for (index, At { value: spec, position }) in written.into_iter().enumerate() {
        let name = spec.task_id.as_ref().map_or_else(|| format!("#{}", index + 1), |id| id.value.clone());
        notes.enter(&name, &spec, position);
        let setups = role::setups(&spec);
        let mut upstream = spec.depends_on.0.clone();
        upstream.extend(setups.iter().cloned());
        let expanded = spec.expand.as_ref().and_then(|expand| expand.0.first()).and_then(|(name, _)| name.position);
        if let Some(task) = lower_task(spec, scope, assets, notes) {
            upstream.extend(task.expand.iter().flat_map(|expand| mapping::sources(expand, expanded)));
            links.add(&task.task_id, upstream, notes);
            named_setups.extend(setups.into_iter().map(|at| at.value));
            tasks.push(task);
        }
    }
    notes.leave();
    links.resolve(&mut tasks, notes);
    role::finish(&mut tasks, &named_setups, notes);
    tasks
}

fn lower_task(spec: TaskSpec, scope: &Scope, assets: &mut Known, notes: &mut Notes) -> Option<TaskDefinition> {
    let Scope { common, defaults, .. } = scope;
    let task_id = match &spec.task_id {
        Some(id) => TaskId::new(&id.value).map_err(|invalid| notes.error(id.position, invalid.to_string())).ok(),
        None => {
            notes.error_with(
                None,
                "the task has no `task_id`",
                "give it one, or write `tasks` as a mapping".to_owned(),
            );
            None
        }
    };
    let (operator, operator_name) = operator::lower(&spec, common, scope.timezone, notes);

    let expand = mapping::expand(spec.expand.as_ref(), spec.expand_kwargs.as_ref(), notes);
    if let Some(expand) = &expand {
        mapping::check_arguments(&spec, &operator, expand, notes);
    }

    let group = group(&spec, notes);
    let retries = pick(&spec.retries, &common.retries);
    if let Some(At { value, position }) = retries
        && *value > MOST_RETRIES
    {
        notes.error(*position, format!("expected `retries` to be at most {MOST_RETRIES}, got: {value}"));
    }
    let pool_slots = pick(&spec.pool_slots, &common.pool_slots);
    if let Some(At { value: 0, position }) = pool_slots {
        notes.error(*position, "expected `pool_slots` to be at least 1, got: 0");
    }
    let max_active = pick(&spec.max_active_tis_per_dag, &common.max_active_tis_per_dag);
    if let Some(At { value: 0, position }) = max_active {
        notes.error(*position, "expected `max_active_tis_per_dag` to be at least 1, got: 0");
    }
    let max_active_of_run = pick(&spec.max_active_tis_per_dagrun, &common.max_active_tis_per_dagrun);
    if let Some(At { value: 0, position }) = max_active_of_run {
        notes.error(*position, "expected `max_active_tis_per_dagrun` to be at least 1, got: 0");
    }
    let start = pick(&spec.start_date, &common.start_date).map(|date| instant(date.value, scope.timezone));
    let end = pick(&spec.end_date, &common.end_date).map(|date| instant(date.value, scope.timezone));
    let params = spec.params.clone().over(&common.params);
    param::check_schemas(&params, notes);
    let outlets = assets.links(pick(&spec.outlets, &common.outlets), notes);
    let inlets = assets.links(pick(&spec.inlets, &common.inlets), notes);
    let callbacks = callback::of_task(&spec, common, &defaults.mail, notes);

    let role = role::lower(&spec, notes);
    let past = past(&spec, common);
    let trigger_rule = role::trigger_rule(role, trigger_rule(pick(&spec.trigger_rule, &common.trigger_rule), notes));
    if role.is_teardown() && spec.trigger_rule.is_some() && trigger_rule.1 {
        notes.error(position(&spec.trigger_rule), "the trigger rule of a teardown is always `all_done_setup_success`");
    }

    Some(TaskDefinition {
        task_id: task_id?,
        operator,
        operator_name,
        upstream: Vec::new(),
        trigger_rule: trigger_rule.0,
        past,
        role,
        owner: spec.owner.or_else(|| common.owner.clone()).unwrap_or_else(|| defaults.owner.clone()),
        retries: retries.map_or(defaults.retries, |at| at.value),
        retry_delay: pick(&spec.retry_delay, &common.retry_delay).map_or(defaults.retry_delay, |at| at.value.0),
        retry_exponential_backoff: pick(&spec.retry_exponential_backoff, &common.retry_exponential_backoff)
            .and_then(|at| at.value.0),
        max_retry_delay: pick(&spec.max_retry_delay, &common.max_retry_delay).map(|at| at.value.0),
        execution_timeout: pick(&spec.execution_timeout, &common.execution_timeout)
            .map(|at| at.value.0)
            .or(defaults.execution_timeout),
        pool: named(pick(&spec.pool, &common.pool), PoolName::new, PoolName::default_pool, notes),
        pool_slots: pool_slots.map_or(1, |at| at.value),
        max_active_tis_per_dag: max_active.and_then(|at| NonZeroU32::new(at.value)),
        max_active_tis_per_dagrun: max_active_of_run.and_then(|at| NonZeroU32::new(at.value)),
        priority_weight: pick(&spec.priority_weight, &common.priority_weight).map_or(1, |at| at.value),
        weight_rule: weight_rule(pick(&spec.weight_rule, &common.weight_rule), defaults, notes),
        queue: named(pick(&spec.queue, &common.queue), QueueName::new, || defaults.queue.clone(), notes),
        // Airflow takes the later of the two starts and the earlier of the two ends; what the DAG says already is not repeated.
        start_date: start.filter(|own| scope.start_date.is_none_or(|dag| *own > dag)),
        end_date: end.filter(|own| scope.end_date.is_none_or(|dag| *own < dag)),
        do_xcom_push: spec.do_xcom_push.or(common.do_xcom_push).unwrap_or(true),
        doc_md: spec.doc_md.or_else(|| common.doc_md.clone()),
        params: params.defaults,
        param_schemas: params.schemas,
        outlets,
        inlets,
        group,
        expand,
        map_index_template: spec.map_index_template.or_else(|| common.map_index_template.clone()),
        only_instance: None,
        callbacks,
    })
}

fn group(spec: &TaskSpec, notes: &mut Notes) -> Option<GroupId> {
    let At { value, position } = spec.group.as_ref()?;
    GroupId::new(value).map_err(|invalid| notes.error(*position, invalid.to_string())).ok()
}

fn past(spec: &TaskSpec, common: &TaskSpec) -> PastRule {
    let is_set = |own: &Option<At<bool>>, common: &Option<At<bool>>| pick(own, common).is_some_and(|at| at.value);
    PastRule {
        depends_on_past: is_set(&spec.depends_on_past, &common.depends_on_past),
        wait_for_downstream: is_set(&spec.wait_for_downstream, &common.wait_for_downstream),
        ignore_first_depends_on_past: is_set(&spec.ignore_first_depends_on_past, &common.ignore_first_depends_on_past),
        wait_for_past_depends_before_skipping: is_set(
            &spec.wait_for_past_depends_before_skipping,
            &common.wait_for_past_depends_before_skipping,
        ),
    }
}

/// The task's own word, else that of `default_args`.
pub(super) fn pick<'a, T>(own: &'a Option<T>, common: &'a Option<T>) -> Option<&'a T> {
    own.as_ref().or(common.as_ref())
}

fn named<T, E: std::fmt::Display>(
    written: Option<&At<String>>,
    parse: impl Fn(String) -> Result<T, E>,
    default: impl Fn() -> T,
    notes: &mut Notes,
) -> T {
    let Some(At { value, position }) = written else { return default() };
    parse(value.clone()).unwrap_or_else(|invalid| {
        notes.error(*position, invalid.to_string());
        default()
    })
}

fn trigger_rule(written: Option<&At<String>>, notes: &mut Notes) -> TriggerRule {
    let Some(At { value, position }) = written else { return TriggerRule::default() };
    match value.parse::<TriggerRule>() {
        Ok(rule) => {
            if rule.as_str() != value {
                notes.old_name(*position, value, rule.as_str(), "it is used");
            }
            rule
        }
        Err(unknown) => {
            notes.error(*position, unknown.to_string());
            TriggerRule::default()
        }
    }
}

fn weight_rule(written: Option<&At<String>>, defaults: &Defaults, notes: &mut Notes) -> WeightRule {
    let Some(At { value, position }) = written else { return defaults.weight_rule };
    WeightRule::from_word(value).unwrap_or_else(|| {
        unknown_word("weight rule", value, &WeightRule::ALL.map(WeightRule::as_str), *position, notes);
        defaults.weight_rule
    })
}

/// A word that is none of the known ones: a suggestion, or all that are known.
pub(super) fn unknown_word(what: &str, got: &str, known: &[&str], position: Option<Position>, notes: &mut Notes) {
    let hint = suggestion(got, known.iter().copied()).unwrap_or_else(|| format!("known: {}", known.join(", ")));
    notes.error_with(position, format!("unknown {what} `{got}`"), hint);
}
