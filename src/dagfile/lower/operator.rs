//! What a task does: exactly one of Bash, Python, a decision, nothing, and what needs none of these.

use crate::dagfile::spec::TaskSpec;
use crate::dagfile::written::{At, Position, Python as WrittenPython, PythonMapping};
use crate::domain::operator::{Bash, Decide, Operator, Python, PythonCode, PythonDecision, default_skip_codes};

use super::Notes;
use super::native::{self, Class};
use super::task::{pick, unknown_word};

/// The kinds of task, by which a written word is understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Bash,
    Python,
    Empty,
    Branch,
    ShortCircuit,
    LatestOnly,
    Native(Class),
}

/// The words for each kind; the first word of a kind is its name for people.
const KINDS: [(&str, Kind); 15] = [
    ("BashOperator", Kind::Bash),
    ("PythonOperator", Kind::Python),
    ("EmptyOperator", Kind::Empty),
    ("DummyOperator", Kind::Empty),
    // It only tells the reader that another DAG waits for it.
    ("ExternalTaskMarker", Kind::Empty),
    ("bash", Kind::Bash),
    ("python", Kind::Python),
    ("empty", Kind::Empty),
    ("BranchPythonOperator", Kind::Branch),
    ("ShortCircuitOperator", Kind::ShortCircuit),
    ("LatestOnlyOperator", Kind::LatestOnly),
    ("BranchOperator", Kind::Branch),
    ("branch", Kind::Branch),
    ("short_circuit", Kind::ShortCircuit),
    ("latest_only", Kind::LatestOnly),
];

impl Kind {
    fn class(self) -> &'static str {
        match self {
            Self::Bash => "BashOperator",
            Self::Python => "PythonOperator",
            Self::Empty => "EmptyOperator",
            Self::Native(class) => class.name(),
            Self::Branch => "BranchPythonOperator",
            Self::ShortCircuit => "ShortCircuitOperator",
            Self::LatestOnly => "LatestOnlyOperator",
        }
    }

    fn from_word(word: &str) -> Option<Self> {
        // `airflow.operators.bash.BashOperator` means its last part.
        let word = word.rsplit('.').next().unwrap_or(word);
        let native = || Class::WORDS.iter().find(|(name, _)| *name == word).map(|(_, class)| Self::Native(*class));
        KINDS.iter().find(|(name, _)| *name == word).map(|(_, kind)| *kind).or_else(native)
    }
}

/// The operator and its name for people.
pub(super) fn lower(
    spec: &TaskSpec,
    common: &TaskSpec,
    timezone: chrono_tz::Tz,
    notes: &mut Notes,
) -> (Operator, String) {
    let kind = kind(spec, common, notes);
    let named = spec.operator.as_ref().map(|at| at.value.rsplit('.').next().unwrap_or_default().to_owned());
    let is_class = |word: &String| word.starts_with(|first: char| first.is_uppercase());
    let class = named.filter(is_class).unwrap_or_else(|| kind.class().to_owned());
    let name = spec.operator_name.clone().unwrap_or(class);
    let operator = match kind {
        Kind::Bash => bash(spec, common, notes),
        Kind::Python => python(spec, common, None, notes),
        Kind::Empty => Operator::Empty,
        Kind::Native(class) => native::lower(class, spec, timezone, notes),
        Kind::Branch => branch(spec, common, notes),
        Kind::ShortCircuit => short_circuit(spec, common, notes),
        Kind::LatestOnly => Operator::Decide(Decide::LatestOnly),
    };
    if let (Some(at), Kind::Bash | Kind::Python | Kind::Empty) = (&spec.arguments, kind) {
        notes
            .error(at.position, format!("`arguments` does not go with {}: write its settings beside it", kind.class()));
    }
    if kind != Kind::Bash {
        only_bash(spec, kind, notes);
    }
    (operator, name)
}

/// What the keys of the task say it is; two answers are an error.
fn kind(spec: &TaskSpec, common: &TaskSpec, notes: &mut Notes) -> Kind {
    let said: Vec<(&str, Kind, Option<Position>)> = [
        ("bash", Kind::Bash, spec.bash.as_ref().map(|at| at.position)),
        ("python", Kind::Python, spec.python.as_ref().map(|at| at.position)),
        ("python_callable", Kind::Python, spec.python_callable.as_ref().map(|at| at.position)),
        ("expand: bash_command", Kind::Bash, expanded_command(spec)),
        ("empty", Kind::Empty, (spec.empty == Some(true)).then_some(None)),
        ("branch", Kind::Branch, spec.branch.as_ref().map(|at| at.position)),
        ("short_circuit", Kind::ShortCircuit, spec.short_circuit.as_ref().map(|at| at.position)),
        ("latest_only", Kind::LatestOnly, (spec.latest_only == Some(true)).then_some(None)),
    ]
    .into_iter()
    .filter_map(|(key, kind, written)| written.map(|position| (key, kind, position)))
    .chain(native::short_forms(spec, notes).into_iter().map(|(key, class, at)| (key, Kind::Native(class), at)))
    .collect();
    if let [(first, ..), (second, _, position), ..] = said.as_slice() {
        notes.error(*position, format!("the task has both `{first}` and `{second}`: it can do only one of them"));
    }
    let by_key = said.first().map(|(key, kind, position)| (*key, *kind, *position));
    let by_word = pick(&spec.operator, &common.operator).and_then(|At { value, position }| {
        let kind = Kind::from_word(value);
        if kind.is_none() {
            let native = Class::WORDS.iter().map(|(name, _)| *name);
            let known: Vec<&str> = KINDS.iter().map(|(name, _)| *name).chain(native).collect();
            unknown_word("operator", value, &known, *position, notes);
        }
        kind.map(|kind| (value, kind))
    });
    match (by_key, by_word) {
        // Python code may decide what follows it.
        (Some((_, Kind::Python, _)), Some((_, kind @ (Kind::Branch | Kind::ShortCircuit)))) => kind,
        (Some((key, by_key, position)), Some((word, by_word))) if by_key != by_word => {
            notes.error(position, format!("`operator: {word}` does not go with `{key}`"));
            by_key
        }
        (Some((_, kind, _)), _) => kind,
        (None, Some((_, kind))) => kind,
        (None, None) if common.bash.is_some() => Kind::Bash,
        (None, None) => Kind::Empty,
    }
}

/// Where the Bash command is expanded, and not given.
fn expanded_command(spec: &TaskSpec) -> Option<Option<Position>> {
    if spec.bash.is_some() || spec.python.is_some() || spec.python_callable.is_some() {
        return None;
    }
    let arguments = spec.expand.iter().flat_map(|expand| &expand.0);
    let mut commands = arguments.filter(|(name, _)| matches!(name.value.as_str(), "bash" | "bash_command"));
    commands.next().map(|(name, _)| name.position)
}

fn bash(spec: &TaskSpec, common: &TaskSpec, notes: &mut Notes) -> Operator {
    let command = match pick(&spec.bash, &common.bash) {
        Some(at) if at.value.trim().is_empty() => {
            notes.error(at.position, "the Bash command is empty");
            String::new()
        }
        Some(at) => at.value.clone(),
        // Each instance gets its own.
        None if expanded_command(spec).is_some() || spec.expand_kwargs.is_some() => String::new(),
        None => {
            notes.error_with(None, "the task has no Bash command", "write it as `bash: ...`".to_owned());
            String::new()
        }
    };
    let env = pick(&spec.env, &common.env).map(|env| env.0.clone());
    if let Some(name) = env.iter().flat_map(|env| env.keys()).find(|name| name.is_empty() || name.contains(['=', '\0']))
    {
        notes.error(None, format!("`env`: `{name}` cannot be the name of an environment variable"));
    }
    Operator::Bash(Bash {
        command,
        env,
        append_env: spec.append_env.or(common.append_env).unwrap_or(false),
        cwd: spec.cwd.clone().or_else(|| common.cwd.clone()),
        skip_on_exit_code: pick(&spec.skip_on_exit_code, &common.skip_on_exit_code)
            .map_or_else(default_skip_codes, |codes| codes.0.clone()),
    })
}

/// By expression, or by the result of Python code.
fn branch(spec: &TaskSpec, common: &TaskSpec, notes: &mut Notes) -> Operator {
    if has_python(spec) {
        return python(spec, common, Some(PythonDecision::Branch), notes);
    }
    let example = "write it as `branch: \"{{ 'big' if params.n > 10 else 'small' }}\"`";
    Operator::Decide(Decide::Branch { choose: expression(&spec.branch, "branch", example, notes) })
}

fn short_circuit(spec: &TaskSpec, common: &TaskSpec, notes: &mut Notes) -> Operator {
    let ignore_downstream_trigger_rules =
        spec.ignore_downstream_trigger_rules.or(common.ignore_downstream_trigger_rules).unwrap_or(true);
    if has_python(spec) {
        return python(spec, common, Some(PythonDecision::ShortCircuit { ignore_downstream_trigger_rules }), notes);
    }
    let example = "write it as `short_circuit: \"{{ params.n > 10 }}\"`";
    let condition = expression(&spec.short_circuit, "short_circuit", example, notes);
    Operator::Decide(Decide::ShortCircuit { condition, ignore_downstream_trigger_rules })
}

fn has_python(spec: &TaskSpec) -> bool {
    spec.python.is_some() || spec.python_callable.is_some()
}

fn expression(written: &Option<At<String>>, key: &str, example: &str, notes: &mut Notes) -> String {
    match written {
        Some(at) if !at.value.trim().is_empty() => at.value.clone(),
        Some(at) => {
            notes.error_with(at.position, format!("`{key}` is empty"), example.to_owned());
            String::new()
        }
        None => {
            notes.error_with(None, format!("the task has no `{key}`"), example.to_owned());
            String::new()
        }
    }
}

fn python(spec: &TaskSpec, common: &TaskSpec, decides: Option<PythonDecision>, notes: &mut Notes) -> Operator {
    let (code, mapping) = match (&spec.python, &spec.python_callable) {
        (Some(At { value: WrittenPython::Source(source), .. }), _) => {
            (Some(PythonCode::Inline { source: source.clone() }), None)
        }
        (Some(At { value: WrittenPython::Mapping(mapping), position }), _) => {
            (from_mapping(mapping, *position, notes), Some(mapping))
        }
        (None, Some(callable)) => (from_callable(&callable.value, callable.position, notes), None),
        (None, None) => {
            let hint = "write `python: |` and the source, or `python: {module: m, function: f}`".to_owned();
            notes.error_with(None, "the task has no Python code", hint);
            (None, None)
        }
    };
    let args = mapping.and_then(|m| m.op_args.clone()).or_else(|| pick(&spec.op_args, &common.op_args).cloned());
    let kwargs =
        mapping.and_then(|m| m.op_kwargs.clone()).or_else(|| pick(&spec.op_kwargs, &common.op_kwargs).cloned());
    Operator::Python(Python {
        // Without code an error was noted, and the DAG is not used.
        code: code.unwrap_or(PythonCode::Inline { source: String::new() }),
        args: args.unwrap_or_default(),
        kwargs: kwargs.unwrap_or_default(),
        decides,
    })
}

fn from_mapping(mapping: &PythonMapping, position: Option<Position>, notes: &mut Notes) -> Option<PythonCode> {
    let PythonMapping { source, module, function, dag_file, .. } = mapping;
    match (source, module, function, dag_file) {
        (Some(source), None, None, None) => Some(PythonCode::Inline { source: source.clone() }),
        (None, Some(module), Some(function), None) => from_callable(&format!("{module}:{function}"), position, notes),
        (None, None, Some(callable), None) => from_callable(callable, position, notes),
        (None, None, None, Some(file)) => Some(PythonCode::DagFile { file: file.clone() }),
        _ => {
            notes.error(position, "expected `python` to have either `source`, or `module` and `function`");
            None
        }
    }
}

/// `module:function`, or `module.function` as Python writes it.
pub(super) fn from_callable(text: &str, position: Option<Position>, notes: &mut Notes) -> Option<PythonCode> {
    let name = |part: &str| {
        !part.is_empty()
            && part.chars().all(|c| c.is_alphanumeric() || c == '_')
            && !part.starts_with(|c: char| c.is_ascii_digit())
    };
    let parts = text.split_once(':').or_else(|| text.rsplit_once('.'));
    match parts {
        Some((module, function)) if module.split('.').all(name) && function.split('.').all(name) => {
            Some(PythonCode::Function { module: module.to_owned(), function: function.to_owned() })
        }
        _ => {
            notes.error(position, format!("expected a Python function to be `module:function`, got: `{text}`"));
            None
        }
    }
}

/// Settings that only a Bash command understands, on a task that has none.
fn only_bash(spec: &TaskSpec, kind: Kind, notes: &mut Notes) {
    let written = [
        ("env", spec.env.is_some()),
        ("append_env", spec.append_env.is_some()),
        ("cwd", spec.cwd.is_some()),
        ("skip_on_exit_code", spec.skip_on_exit_code.is_some()),
    ];
    for (key, _) in written.into_iter().filter(|(_, is_written)| *is_written) {
        notes.warning(None, format!("`{key}` has no effect on a task of {}", kind.class()));
    }
}
