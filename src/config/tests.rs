//! Stories about the whole way from the sources to the settings.

use crate::domain::executor::ExecutorKind;
use std::path::PathBuf;
use std::time::Duration;

use ::config as config_crate;

use crate::domain::dag::TaskLimitScope;
use crate::domain::problem::Severity;

use super::*;

/// What one person's machine says to the program.
struct Machine {
    folder: tempfile::TempDir,
    variables: Vec<(String, String)>,
    flags: Vec<Flag>,
}

impl Machine {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().to_str().unwrap().to_owned();
        Self { folder, variables: vec![("UPDRAFT_HOME".into(), home)], flags: Vec::new() }
    }

    fn file(self, name: &str, text: &str) -> Self {
        std::fs::write(self.folder.path().join(name), text).unwrap();
        self
    }

    fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.into(), value.into()));
        self
    }

    fn flag(mut self, section: &'static str, key: &'static str, value: &str) -> Self {
        self.flags.push(Flag { name: Name::new(section, key), value: value.into(), flag: "--flag".into() });
        self
    }

    fn try_load(&self) -> Result<Loaded, ConfigError> {
        let variables = self.variables.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        load(&Environment::new(self.folder.path(), variables), &self.flags)
    }

    fn load(&self) -> Loaded {
        self.try_load().unwrap_or_else(|error| panic!("{error}"))
    }

    /// The value of a key, and where it came from without the folder.
    fn get(&self, section: &str, key: &str) -> (String, String) {
        let loaded = self.load();
        let entry = loaded.config.get(section, key).unwrap();
        (entry.reveal().to_owned(), self.short(&entry.origin.to_string()))
    }

    fn problems(&self) -> Vec<String> {
        let error = self.try_load().expect_err("this must not load");
        error.problems.iter().map(|problem| self.short(&problem.to_string())).collect()
    }

    fn warnings(&self) -> Vec<String> {
        self.load().warnings.iter().map(|problem| self.short(&problem.to_string())).collect()
    }

    fn short(&self, text: &str) -> String {
        text.replace(&format!("{}/", self.folder.path().display()), "")
    }
}

#[test]
fn of_two_layers_the_stronger_one_wins_whichever_pair_it_is() {
    type Set = fn(Machine, &str) -> Machine;
    let layers: [(&str, Set); 5] = [
        ("default of airflow_era = 2", |m, _| m.variable("AIRFLOW__CORE__AIRFLOW_ERA", "2")),
        ("airflow.cfg, line 2", |m, value| m.file("airflow.cfg", &format!("[core]\nexecutor = {value}\n"))),
        ("$AIRFLOW__CORE__EXECUTOR", |m, value| m.variable("AIRFLOW__CORE__EXECUTOR", value)),
        ("$UPDRAFT__CORE__EXECUTOR", |m, value| m.variable("UPDRAFT__CORE__EXECUTOR", value)),
        ("--flag", |m, value| m.flag("core", "executor", value)),
    ];
    assert_eq!(Machine::new().get("core", "executor"), ("LocalExecutor".into(), "default".into()));
    for (strong, (origin, set_strong)) in layers.iter().enumerate() {
        let value = if strong == 0 { "SequentialExecutor" } else { "CeleryExecutor" };
        let alone = set_strong(Machine::new(), value);
        assert_eq!(alone.get("core", "executor"), (value.into(), (*origin).into()));
        for (_, set_weak) in &layers[..strong] {
            let both = set_weak(set_strong(Machine::new(), value), "SequentialExecutor");
            assert_eq!(both.get("core", "executor"), (value.into(), (*origin).into()));
        }
    }
}

#[test]
fn updraft_toml_is_read_instead_of_airflow_cfg_and_a_variable_names_another_file() {
    let machine = Machine::new()
        .file("airflow.cfg", "[core]\nparallelism = 1\n")
        .file("updraft.toml", "[core]\nparallelism = 2\n")
        .file("other.cfg", "[core]\nparallelism = 3\n");
    assert_eq!(machine.get("core", "parallelism"), ("2".into(), "updraft.toml, line 2, column 1".into()));
    let machine = machine.variable("AIRFLOW_CONFIG", "other.cfg");
    assert_eq!(machine.get("core", "parallelism"), ("3".into(), "other.cfg, line 2".into()));
    let machine = machine.variable("UPDRAFT_CONFIG", "updraft.toml");
    assert_eq!(machine.get("core", "parallelism").0, "2");
    let machine = Machine::new().variable("AIRFLOW_CONFIG", "gone.cfg");
    assert_eq!(
        machine.problems(),
        ["environment variable AIRFLOW_CONFIG: the configuration file gone.cfg does not exist (create it, or unset \
          AIRFLOW_CONFIG)"]
    );
}

#[test]
fn every_old_name_leads_to_the_key_of_today_with_one_warning() {
    for key in KEYS {
        for &(section, old) in key.old {
            let value = match key.kind {
                Kind::Executor => "SequentialExecutor",
                Kind::DatabaseUrl => "sqlite:////old.db",
                Kind::Bool => "True",
                Kind::Words(words) => words[0],
                Kind::Path => "/old",
                _ => "2",
            };
            let machine = Machine::new().file("airflow.cfg", &format!("[{section}]\n{old} = {value}\n"));
            let warnings = machine.warnings();
            let expected = format!(
                "airflow.cfg, line 2: [{section}] {old} is the old name of {} (the old name goes on working; \
                 rename it to be rid of this warning)",
                key.name
            );
            assert_eq!(warnings, [expected]);
            let loaded = machine.load();
            let entry = loaded.config.get(section, old).unwrap();
            assert_eq!(entry.key.name, key.name);
            assert_eq!(entry.reveal(), value);
            assert_eq!(entry.old_name, Some(Name::new(section, old)));
            let variable = Name::new(section, old).variable("AIRFLOW");
            let machine = Machine::new().variable(&variable, value);
            assert_eq!(machine.get(key.name.section, key.name.key), (value.into(), format!("${variable}")));
        }
    }
}

#[test]
fn no_name_means_two_keys_and_no_name_of_airflows_own_is_taken_for_ours() {
    let mut seen = std::collections::HashSet::new();
    for key in KEYS {
        for name in key.names() {
            assert!(seen.insert(name), "{name} stands twice in the table");
            assert!(!is_foreign(name.section, name.key), "{name} stands in foreign.txt too");
        }
    }
    assert!(is_foreign("core", "donot_pickle") && is_foreign("Kubernetes", "Namespace"));
    assert!(foreign::pairs().count() > 200);
}

#[test]
fn an_old_name_in_the_environment_beats_the_new_one_in_the_file() {
    let machine = Machine::new()
        .file("airflow.cfg", "[database]\nsql_alchemy_conn = sqlite:////file.db\n")
        .variable("AIRFLOW__CORE__SQL_ALCHEMY_CONN", "sqlite:////old.db");
    assert_eq!(
        machine.get("database", "sql_alchemy_conn"),
        ("sqlite:////old.db".into(), "$AIRFLOW__CORE__SQL_ALCHEMY_CONN".into())
    );
    let machine = machine.variable("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "sqlite:////new.db");
    assert_eq!(machine.get("core", "sql_alchemy_conn").0, "sqlite:////new.db");
}

#[test]
fn an_old_name_warns_once_however_often_it_is_set() {
    let machine = Machine::new()
        .file("airflow.cfg", "[core]\ndag_concurrency = 3\n")
        .variable("AIRFLOW__CORE__DAG_CONCURRENCY", "4")
        .variable("UPDRAFT__CORE__DAG_CONCURRENCY", "5");
    assert_eq!(machine.get("core", "max_active_tasks_per_dag").0, "5");
    assert_eq!(machine.warnings().len(), 1);
}

#[test]
fn a_command_gives_a_secret_in_the_environment_and_in_the_file() {
    let command = "sh -c 'echo sqlite:////cmd.db'";
    for machine in [
        Machine::new().variable("AIRFLOW__CORE__SQL_ALCHEMY_CONN_CMD", command),
        Machine::new().variable("UPDRAFT__DATABASE__SQL_ALCHEMY_CONN_CMD", command),
        Machine::new().file("airflow.cfg", &format!("[core]\nsql_alchemy_conn_cmd = {command}\n")),
        Machine::new().file("updraft.toml", &format!("[database]\nsql_alchemy_conn_cmd = \"{command}\"\n")),
    ] {
        assert_eq!(machine.get("database", "sql_alchemy_conn").0, "sqlite:////cmd.db");
    }
}

#[test]
fn a_value_beats_its_command_and_a_command_that_does_not_decide_is_not_run() {
    let mark = tempfile::NamedTempFile::new().unwrap();
    let command = format!("sh -c 'echo ran >> {}; echo sqlite:////cmd.db'", mark.path().display());
    let machine = Machine::new()
        .file("airflow.cfg", &format!("[database]\nsql_alchemy_conn_cmd = {command}\n"))
        .variable("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_CMD", &command)
        .variable("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "sqlite:////plain.db");
    assert_eq!(machine.get("database", "sql_alchemy_conn").0, "sqlite:////plain.db");
    assert_eq!(std::fs::read_to_string(mark.path()).unwrap(), "");
}

#[test]
fn a_command_that_fails_or_is_not_allowed_is_said() {
    let machine = Machine::new().variable("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_CMD", "sh -c 'echo sealed >&2; exit 2'");
    assert_eq!(
        machine.problems(),
        ["environment variable AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_CMD: [database] sql_alchemy_conn: the command \
          `sh -c 'echo sealed >&2; exit 2'` failed (exit status: 2): sealed"]
    );
    let machine = Machine::new().variable("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_SECRET", "path/in/vault");
    assert!(machine.problems()[0].contains("there is no secrets backend yet"), "{:?}", machine.problems());
    let machine = Machine::new().file("updraft.toml", "[core]\nexecutor_cmd = 'echo LocalExecutor'\n");
    assert_eq!(
        machine.problems(),
        ["updraft.toml, line 2, column 1: `[core] executor_cmd`: only a secret may be given as a command, and [core] \
          executor is none (write the value of [core] executor itself)"]
    );
    let machine = Machine::new().variable("AIRFLOW__CORE__EXECUTOR_CMD", "echo CeleryExecutor");
    assert_eq!(machine.get("core", "executor").0, "LocalExecutor");
    assert!(machine.warnings()[0].contains("only a secret may be given as a command"));
}

#[test]
fn a_secret_that_nothing_reads_yet_cannot_keep_the_program_from_starting() {
    let machine = Machine::new()
        .file("airflow.cfg", "[workers]\nsecrets_backend_kwargs_secret = mail\n")
        .variable("AIRFLOW__API__SECRET_KEY_CMD", "false");
    let warnings = machine.warnings();
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(warnings.iter().any(|line| line.contains("[api] secret_key: the command `false` failed")));
    assert!(
        warnings.iter().any(|line| line.contains("[workers] secrets_backend_kwargs: there is no secrets backend yet"))
    );
}

#[test]
fn a_flag_for_a_key_that_does_not_exist_is_a_mistake_of_ours_and_is_said() {
    let machine = Machine::new().flag("core", "executer", "LocalExecutor");
    assert!(machine.problems()[0].contains("sets [core] executer, which is no key"));
}

#[test]
fn a_misspelt_key_in_our_file_is_an_error_with_its_place_and_what_was_meant() {
    for (text, expected) in [
        (
            "[core]\n\nexecuter = 'LocalExecutor'\n",
            "updraft.toml, line 3, column 1: there is no key `[core] executer` (did you mean `[core] executor`?)",
        ),
        (
            "[cor]\n  executor = 'LocalExecutor'\n",
            "updraft.toml, line 2, column 3: there is no key `[cor] executor` (did you mean `[core] executor`?)",
        ),
        (
            "[scheduler]\nparallelism = 1\n",
            "updraft.toml, line 2, column 1: there is no key `[scheduler] parallelism` (did you mean `[core] \
             parallelism`?)",
        ),
        (
            "[core]\ndag_concurency = 1\n",
            "updraft.toml, line 2, column 1: there is no key `[core] dag_concurency` (did you mean `[core] \
             max_active_tasks_per_dag`?)",
        ),
        ("[core]\nzebra = 1\n", "updraft.toml, line 2, column 1: there is no key `[core] zebra`"),
        ("[core]\ndonot_pickle = true\n", "updraft.toml, line 2, column 1: there is no key `[core] donot_pickle`"),
    ] {
        assert_eq!(Machine::new().file("updraft.toml", text).problems(), [expected]);
    }
    let machine = Machine::new().variable("UPDRAFT__CORE__PARALELISM", "3");
    assert_eq!(
        machine.problems(),
        ["environment variable UPDRAFT__CORE__PARALELISM: there is no key `UPDRAFT__CORE__PARALELISM` (did you mean \
          `UPDRAFT__CORE__PARALLELISM`?)"]
    );
}

#[test]
fn in_airflows_own_sources_a_misspelling_warns_and_options_of_airflow_are_summed_up() {
    let machine = Machine::new().file(
        "airflow.cfg",
        "[core]\nparalelism = 4\ndonot_pickle = True\nmp_start_method = fork\n[kubernetes_executor]\nnamespace = x\n\
         [my_plugin]\nport = 1\n[webserver]\nnavbar_color = #fff\nsecret_key_cmd = echo k\nrbac = True\n",
    );
    assert_eq!(
        machine.warnings(),
        [
            "airflow.cfg, line 2: there is no key `[core] paralelism` (did you mean `[core] parallelism`?)".to_owned(),
            "airflow.cfg: 6 options have no meaning here and are ignored: core.donot_pickle, core.mp_start_method, \
             kubernetes_executor.namespace, my_plugin.port, webserver.navbar_color and 1 more"
                .to_owned(),
            "airflow.cfg, line 11: [webserver] secret_key is the old name of [api] secret_key (the old name goes on \
             working; rename it to be rid of this warning)"
                .to_owned(),
        ]
    );
    let machine = Machine::new().variable("AIRFLOW__CORE__EXECUTER", "x").variable("AIRFLOW__TEAM___CORE__X", "y");
    assert_eq!(
        machine.warnings(),
        [
            "environment variable AIRFLOW__CORE__EXECUTER: there is no key `AIRFLOW__CORE__EXECUTER` (did you mean \
             `AIRFLOW__CORE__EXECUTOR`?)",
            "the environment: 1 option has no meaning here and is ignored: team._core__x",
        ]
    );
}

#[test]
fn a_bad_value_is_named_with_its_place_what_was_got_and_what_was_expected() {
    let machine = Machine::new().file(
        "airflow.cfg",
        "[core]\nexecutor = Celry\nparallelism = many\ndefault_timezone = Europe/Amsterdm\n\n[webserver]\n\
         web_server_port = 70000\n[database]\nsql_alchemy_conn = postgressql://u:hunter2@h/d\n[metrics]\nstatsd_port = x\n",
    );
    assert_eq!(
        machine.problems(),
        [
            "airflow.cfg, line 2: [core] executor: unknown executor `Celry` (known: SequentialExecutor, LocalExecutor, \
             CeleryExecutor); did you mean `CeleryExecutor`?",
            "airflow.cfg, line 3: expected [core] parallelism to be a whole number, 0 or more; got `many`",
            "airflow.cfg, line 4: expected [core] default_timezone to be an IANA time zone such as Europe/Amsterdam, \
             utc or system; got `Europe/Amsterdm` (did you mean `Europe/Amsterdam`?)",
            "airflow.cfg, line 9: [database] sql_alchemy_conn: unknown database `postgressql` (known: sqlite, \
             postgresql, mysql); did you mean `postgresql`?",
            "airflow.cfg, line 7: expected [webserver] web_server_port to be a port, 0 to 65535; got `70000`",
        ]
    );
    let machine = Machine::new().file("airflow.cfg", "[metrics]\nstatsd_port = x\n");
    assert_eq!(
        machine.warnings(),
        ["airflow.cfg, line 2: expected [metrics] statsd_port to be a port, 0 to 65535; got `x`"]
    );
}

#[test]
fn a_file_that_cannot_be_read_says_why() {
    let machine = Machine::new().file("updraft.toml", "[core]\nexecutor = Local\n");
    assert!(machine.problems()[0].starts_with("updraft.toml, line 2, column 12: "), "{:?}", machine.problems());
    let machine = Machine::new().file("airflow.cfg", "[core]\nexecutor\n");
    assert_eq!(machine.problems(), ["airflow.cfg, line 2: expected `key = value` or `[section]`, got `executor`"]);
    let machine = Machine::new();
    std::fs::write(machine.folder.path().join("airflow.cfg"), b"[core]\nx = \xff\n").unwrap();
    assert_eq!(machine.problems(), ["airflow.cfg, line 2: the configuration file is not UTF-8 text"]);
    let machine = Machine::new();
    std::fs::create_dir(machine.folder.path().join("updraft.toml")).unwrap();
    assert!(machine.problems()[0].contains("updraft.toml: the configuration file cannot be read: "));
}

#[test]
fn the_era_picks_a_set_of_defaults_and_each_key_still_overrides_it() {
    let airflow3 = Machine::new().load().config;
    let s = airflow3.settings();
    assert_eq!(s.core.era, Era::Airflow3);
    assert_eq!(s.core.executor, ExecutorKind::Local);
    assert!(!s.scheduler.catchup_by_default && !s.scheduler.create_cron_data_intervals);
    assert_eq!(s.core.dag_ignore_file_syntax, IgnoreFileSyntax::Glob);
    assert_eq!(s.core.default_schedule, DefaultSchedule::Never);
    assert_eq!(s.core.max_active_tasks_scope, TaskLimitScope::EachRun);

    let machine = Machine::new().file("updraft.toml", "[core]\nairflow_era = 2\n");
    let airflow2 = machine.load().config;
    let s = airflow2.settings();
    assert_eq!(s.core.era, Era::Airflow2);
    assert_eq!(s.core.executor, ExecutorKind::Sequential);
    assert!(s.scheduler.catchup_by_default && s.scheduler.create_cron_data_intervals);
    assert_eq!(s.core.dag_ignore_file_syntax, IgnoreFileSyntax::Regexp);
    assert_eq!(s.core.default_schedule, DefaultSchedule::Every(Duration::from_secs(86400)));
    assert_eq!(s.core.max_active_tasks_scope, TaskLimitScope::AllRuns);
    assert!(airflow2.is_default("core", "executor"));

    let machine = machine.variable("AIRFLOW__SCHEDULER__CATCHUP_BY_DEFAULT", "f");
    let mixed = machine.load().config;
    assert!(!mixed.settings().scheduler.catchup_by_default);
    assert!(mixed.settings().scheduler.create_cron_data_intervals);
    let back = machine.variable("UPDRAFT__CORE__AIRFLOW_ERA", "3").load().config;
    assert_eq!(back.settings().core.executor, ExecutorKind::Local);
    assert_eq!(
        Machine::new().variable("UPDRAFT__CORE__AIRFLOW_ERA", "1").problems(),
        ["environment variable UPDRAFT__CORE__AIRFLOW_ERA: expected [core] airflow_era to be 2 or 3; got `1`"]
    );
}

#[test]
fn dag_concurrency_limits_a_dag_over_all_its_runs_in_either_era() {
    let machine = Machine::new().file("airflow.cfg", "[core]\ndag_concurrency = 5\n");
    let core = machine.load().config.settings().core.clone();
    assert_eq!((core.max_active_tasks_per_dag, core.max_active_tasks_scope), (5, TaskLimitScope::AllRuns));
    let machine = Machine::new().file("airflow.cfg", "[core]\nmax_active_tasks_per_dag = 5\ndag_concurrency = 6\n");
    let core = machine.load().config.settings().core.clone();
    assert_eq!((core.max_active_tasks_per_dag, core.max_active_tasks_scope), (5, TaskLimitScope::EachRun));
    assert_eq!(
        machine.warnings(),
        [
            "airflow.cfg, line 3: [core] dag_concurrency is the old name of [core] max_active_tasks_per_dag, which is set \
          as well and counts (remove the old one)"
        ]
    );
}

#[test]
fn every_key_that_takes_effect_has_a_field_and_every_field_a_key() {
    let full = || {
        let mut root: config_crate::Map<String, config_crate::Map<String, config_crate::Value>> = Default::default();
        let machine = Machine::new().load();
        for entry in machine.config.entries() {
            let kind = value::read(entry.key.kind, entry.reveal(), machine.config.home()).unwrap();
            let section = root.entry(entry.key.name.section.into()).or_default();
            section.insert(entry.key.name.key.into(), config_crate::Value::new(None, kind));
        }
        root.get_mut("core").unwrap().insert("max_active_tasks_scope".into(), "each_run".into());
        root
    };
    let read = |root: config_crate::Map<String, config_crate::Map<String, config_crate::Value>>| {
        let mut tree: config_crate::Map<String, config_crate::Value> =
            root.into_iter().map(|(section, keys)| (section, config_crate::Value::new(None, keys))).collect();
        tree.insert("home".into(), "/".into());
        config_crate::Value::new(None, tree).try_deserialize::<Settings>()
    };
    read(full()).expect("no field is without a key");
    for key in KEYS {
        let mut without = full();
        without.get_mut(key.name.section).unwrap().remove(key.name.key);
        let missed = read(without).is_err();
        assert_eq!(missed, key.effect == Effect::Used, "{}", key.name);
    }
}

#[test]
fn paths_and_the_database_lie_below_the_home_folder_unless_they_are_absolute() {
    let machine = Machine::new();
    let home = machine.folder.path().to_path_buf();
    let settings = machine.load().config.settings().clone();
    assert_eq!(settings.home, home);
    assert_eq!(settings.core.dags_folder, home.join("dags"));
    assert_eq!(settings.logging.base_log_folder, home.join("logs"));
    assert_eq!(settings.database.url, DatabaseUrl::Sqlite { path: home.join("updraft.db") });
    let machine = Machine::new()
        .variable("HOME", "/home/ann")
        .variable("DATA", "~/data")
        .variable("AIRFLOW__CORE__DAGS_FOLDER", "$DATA/dags")
        .variable("AIRFLOW__LOGGING__BASE_LOG_FOLDER", "l")
        .variable("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "sqlite:///x.db");
    let settings = machine.load().config.settings().clone();
    assert_eq!(settings.core.dags_folder, PathBuf::from("/home/ann/data/dags"));
    assert_eq!(settings.logging.base_log_folder, machine.folder.path().join("l"));
    assert_eq!(settings.database.url, DatabaseUrl::Sqlite { path: machine.folder.path().join("x.db") });
}

#[test]
fn times_that_do_not_fit_each_other_are_an_error_at_the_place_that_set_them() {
    let machine = Machine::new().file("updraft.toml", "[workers]\nfence_after = 70\n");
    let problems = machine.problems();
    assert_eq!(problems.len(), 1);
    assert!(problems[0].starts_with("updraft.toml, line 2, column 1: [workers] fence_after must be shorter than [scheduler] worker_lost_after (N1"), "{problems:?}");
}

#[test]
fn secrets_do_not_show_in_what_is_masked_or_debugged() {
    let machine = Machine::new()
        .variable("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "postgresql://ann:hunter2@h/db")
        .variable("AIRFLOW__CELERY__BROKER_URL", "amqp://ann:hunter2@h")
        .variable("UPDRAFT__CORE__INTERNAL_SECRET", "hunter2");
    let loaded = machine.load();
    assert!(!format!("{loaded:#?}").contains("hunter2"));
    let masked: Vec<String> = loaded.config.entries().iter().map(Entry::masked).collect();
    assert!(masked.iter().all(|text| !text.contains("hunter2")));
    assert_eq!(loaded.config.get("database", "sql_alchemy_conn").unwrap().masked(), "postgresql://ann:***@h/db");
    assert_eq!(loaded.config.get("core", "sql_alchemy_conn").unwrap().reveal(), "postgresql://ann:hunter2@h/db");
}

#[test]
fn the_airflow_cfg_that_airflow_2_writes_is_read_as_it_stands() {
    let machine = Machine::new().variable("HOME", "/home/ann").file("airflow.cfg", include_str!("tests/airflow2.cfg"));
    let loaded = machine.load();
    let settings = loaded.config.settings();
    assert_eq!(settings.core.dags_folder, PathBuf::from("/home/ann/airflow/dags"));
    assert_eq!(settings.core.executor, ExecutorKind::Local);
    assert_eq!(settings.core.parallelism, 0);
    assert_eq!(settings.core.max_active_tasks_per_dag, 8);
    assert_eq!(settings.core.default_task_execution_timeout, None);
    assert!(settings.scheduler.catchup_by_default);
    assert_eq!(settings.dag_processor.parsing_processes, 4);
    assert_eq!(settings.api.port, 8081);
    assert_eq!(settings.api.host, "0.0.0.0");
    assert_eq!(settings.celery.worker_concurrency, 12);
    assert_eq!(settings.logging.logging_level, LoggingLevel::Info);
    assert_eq!(settings.database.url.to_string(), "postgresql://airflow:***@localhost:5432/airflow");
    assert_eq!(settings.database.url.sqlx_url().reveal(), "postgres://airflow:air%40flow@localhost:5432/airflow");
    assert!(loaded.warnings.iter().all(|problem| problem.severity == Severity::Warning));
    let said: Vec<String> = loaded.warnings.iter().map(|p| machine.short(&p.to_string())).collect();
    let misspellings: Vec<&String> = said.iter().filter(|line| line.contains("there is no key")).collect();
    assert!(misspellings.is_empty(), "{misspellings:#?}");
    assert_eq!(said.iter().filter(|line| line.contains("have no meaning here")).count(), 1, "{said:#?}");
    let olds =
        ["[core] dag_concurrency", "[core] sql_alchemy_conn", "[webserver] web_server_port", "[scheduler] max_threads"];
    assert!(
        olds.iter().all(|old| said.iter().filter(|line| line.contains(&format!("{old} is the old"))).count() == 1),
        "{said:#?}"
    );
}

#[test]
fn the_home_folder_is_the_first_of_four() {
    let folder = tempfile::tempdir().unwrap();
    let home = |variables: &[(&str, &str)]| {
        let home = Home::resolve(&Environment::new(folder.path(), variables.iter().copied()))?;
        Ok::<_, crate::domain::problem::Problem>((home.path().to_path_buf(), home.origin()))
    };
    let all = [("UPDRAFT_HOME", "~/u"), ("AIRFLOW_HOME", "rel/a"), ("HOME", "/home/ann")];
    assert_eq!(home(&all), Ok(("/home/ann/u".into(), HomeOrigin::Variable("UPDRAFT_HOME"))));
    assert_eq!(home(&all[1..]), Ok((folder.path().join("rel/a"), HomeOrigin::Variable("AIRFLOW_HOME"))));
    assert_eq!(home(&all[2..]), Ok(("/home/ann/updraft".into(), HomeOrigin::Default)));
    assert!(home(&[]).is_err_and(|problem| problem.message.contains("there is no home folder")));
    assert_eq!(home(&[("AIRFLOW_HOME", " "), all[2]]).unwrap().1, HomeOrigin::Default);
    std::fs::create_dir(folder.path().join("dags")).unwrap();
    assert_eq!(home(&all[2..]), Ok((folder.path().to_path_buf(), HomeOrigin::CurrentFolder)));
}
