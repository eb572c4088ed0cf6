//! What lies in `docker/` and `config/` for production, checked against the program and against itself. No container
//! is run here: every command, flag, key, file and time that those texts name has to be one that exists.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use regex::Regex;
use serde_json::Value;
use updraft::config::{self, Environment, Settings};

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn text(name: &str) -> String {
    fs::read_to_string(path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

const UNITS: [&str; 3] = [
    "config/systemd/updraft-scheduler.service",
    "config/systemd/updraft-web.service",
    "config/systemd/updraft-worker.service",
];

fn compose() -> Value {
    serde_saphyr::from_str(&text("docker/compose.yaml")).expect("docker/compose.yaml is YAML")
}

/// The services, by name.
fn services(compose: &Value) -> BTreeMap<String, &Value> {
    let services = compose["services"].as_object().expect("services");
    services.iter().map(|(name, service)| (name.clone(), service)).collect()
}

/// Those that run our program.
fn ours(compose: &Value) -> BTreeMap<String, &Value> {
    let mut services = services(compose);
    services.retain(|_, service| word(&service["image"]).starts_with("updraft:"));
    assert!(services.len() >= 5, "a migration, two schedulers, two workers: {services:?}");
    services
}

#[track_caller]
fn word(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("expected a text, got {value}"))
}

#[track_caller]
fn words(list: &Value) -> Vec<String> {
    let list = list.as_array().unwrap_or_else(|| panic!("expected a list, got {list}"));
    list.iter().map(|value| word(value).to_owned()).collect()
}

/// The instructions of the Dockerfile, each in one line.
fn instructions() -> Vec<(String, String)> {
    let joined = text("docker/Dockerfile").replace("\\\n", " ");
    let lines = joined.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty());
    lines
        .map(|line| {
            let (instruction, rest) = line.split_once(' ').expect("an instruction with something to do");
            (instruction.to_owned(), rest.trim().to_owned())
        })
        .collect()
}

/// What follows each `name` in the Dockerfile.
fn instruction(name: &str) -> Vec<String> {
    instructions().into_iter().filter(|(instruction, _)| instruction == name).map(|(_, rest)| rest).collect()
}

/// The settings of a line such as `TimeoutStopSec=90`, in their order.
fn settings_of<'a>(unit: &'a str, key: &str) -> Vec<&'a str> {
    unit.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix('=')).collect()
}

/// What `config/production.toml` comes to, with the environment of a service.
fn production(environment: &BTreeMap<String, String>) -> Settings {
    let folder = tempfile::tempdir().expect("a folder");
    let mut variables = environment.clone();
    variables.insert("UPDRAFT_CONFIG".to_owned(), path("config/production.toml").display().to_string());
    variables.insert("UPDRAFT_HOME".to_owned(), folder.path().display().to_string());
    let environment =
        Environment::new(folder.path(), variables.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    config::load(&environment, &[]).expect("a configuration without a mistake").config.settings().clone()
}

/// The environment of a service, its secrets filled in.
fn environment(service: &Value) -> BTreeMap<String, String> {
    let secret = Regex::new(r"\$\{[A-Z_]+:\?[^}]*\}").expect("a regex");
    let key = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";
    let environment = service["environment"].as_object().expect("an environment");
    environment.iter().map(|(name, value)| (name.clone(), secret.replace_all(word(value), key).into_owned())).collect()
}

fn seconds(text: &str) -> Duration {
    let digits = text.strip_suffix('s').unwrap_or(text);
    Duration::from_secs(digits.parse().unwrap_or_else(|_| panic!("expected seconds, got {text}")))
}

/// Every command line of our program that these files run, with where it stands.
fn commands() -> Vec<(String, Vec<String>)> {
    let mut commands = Vec::new();
    let compose = compose();
    for (name, service) in ours(&compose) {
        commands.push((format!("compose.yaml, {name}"), words(&service["command"])));
        let check =
            service["healthcheck"]["test"].as_array().map_or_else(Vec::new, |_| words(&service["healthcheck"]["test"]));
        if check.get(1).is_some_and(|program| program == "updraft") {
            commands.push((format!("compose.yaml, health of {name}"), check[2..].to_vec()));
        }
    }
    let exec = Regex::new(r"exec scheduler-1 updraft ([a-z -]+)").expect("a regex");
    for (name, text) in [("compose.yaml", text("docker/compose.yaml")), ("README.md", text("README.md"))] {
        for found in exec.captures_iter(&text) {
            commands.push((format!("{name}, a comment"), found[1].split_whitespace().map(ToOwned::to_owned).collect()));
        }
    }
    let of_image = |json: &str| words(&serde_json::from_str(json).expect("a command as a JSON list"));
    for command in instruction("CMD") {
        commands.push(("Dockerfile, CMD".to_owned(), of_image(&command)));
    }
    for check in instruction("HEALTHCHECK") {
        let (_, command) = check.split_once("CMD ").expect("a health check has a command");
        commands.push(("Dockerfile, HEALTHCHECK".to_owned(), of_image(command)[1..].to_vec()));
    }
    for unit in UNITS {
        let unit_text = text(unit);
        for key in ["ExecStart", "ExecStartPre"] {
            for command in settings_of(&unit_text, key) {
                let command =
                    command.strip_prefix("/usr/local/bin/updraft ").expect("where the Dockerfile puts it too");
                commands.push((unit.to_owned(), command.split_whitespace().map(ToOwned::to_owned).collect()));
            }
        }
    }
    commands
}

#[test]
fn every_command_and_flag_that_is_named_exists() {
    let commands = commands();
    assert!(commands.len() >= 12, "{commands:?}");
    for (place, command) in commands {
        let named: Vec<&String> = command.iter().take_while(|word| !word.starts_with('-')).collect();
        let help = Command::new(env!("CARGO_BIN_EXE_updraft")).args(&named).arg("--help").output().expect("it runs");
        let said = String::from_utf8_lossy(&help.stdout).into_owned();
        let usage = format!("Usage: updraft {}", named.iter().map(|word| word.as_str()).collect::<Vec<_>>().join(" "));
        assert!(help.status.success() && said.contains(&usage), "{place}: `updraft {}`: {said}", command.join(" "));
        for flag in command.iter().filter(|word| word.starts_with("--")) {
            let known = said.split(|c: char| c.is_whitespace() || c == ',').any(|word| word == flag);
            assert!(known, "{place}: `updraft {}` has no flag {flag}: {said}", command.join(" "));
        }
    }
}

#[test]
fn every_key_that_is_set_exists_and_the_configuration_is_valid() {
    let file = text("config/production.toml");
    let (mut section, mut keys) = ("", 0);
    for line in file.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        if let Some(name) = line.strip_prefix('[') {
            section = name.trim_end_matches(']');
        } else {
            let (key, _) = line.split_once(" = ").expect("a key and its value");
            assert!(config::find(section, key).is_some(), "[{section}] {key}");
            keys += 1;
        }
    }
    assert!(keys > 8, "{keys}");
    let compose = compose();
    let mut variables: BTreeSet<String> = BTreeSet::new();
    for service in ours(&compose).values() {
        variables.extend(environment(service).into_keys());
    }
    let named = Regex::new(r"UPDRAFT__[A-Z_]+").expect("a regex");
    for text in [text("config/production.toml"), text("docker/Dockerfile")] {
        variables.extend(named.find_iter(&text).map(|found| found.as_str().to_owned()));
    }
    for variable in variables.iter().filter_map(|variable| variable.strip_prefix("UPDRAFT__")) {
        let (section, key) = variable.split_once("__").expect("a section and a key");
        assert!(config::find(section, key).is_some(), "UPDRAFT__{variable}");
    }
    for (name, service) in ours(&compose) {
        let settings = production(&environment(service));
        assert_eq!(settings.core.dags_folder, Path::new("/srv/updraft/dags"), "{name}");
    }
}

#[test]
fn whoever_stops_a_node_waits_longer_than_it_drains() {
    let workers = production(&BTreeMap::new()).workers;
    let drained = workers.drain_deadline + workers.kill_grace + Duration::from_secs(5);
    let long_enough = |place: &str, waits: Duration| {
        assert!(waits > drained, "PROTOCOL N7: {place} waits {waits:?}, a node drains for {drained:?}");
        assert_eq!(waits, workers.stop_timeout, "{place}: [workers] stop_timeout says so too");
    };
    let compose = compose();
    for (name, service) in ours(&compose) {
        long_enough(&name, seconds(word(&service["stop_grace_period"])));
        assert_eq!(service["init"], true, "{name}: somebody has to take up what tasks leave behind");
    }
    for unit in UNITS {
        let unit_text = text(unit);
        long_enough(unit, seconds(settings_of(&unit_text, "TimeoutStopSec")[0]));
        // The pages have no tasks.
        let expected: &[&str] = if unit.contains("-web") { &[] } else { &["mixed"] };
        assert_eq!(settings_of(&unit_text, "KillMode"), expected, "{unit}: tasks get no TERM of systemd");
    }
}

#[test]
fn every_file_that_is_copied_exists_and_is_sent_to_the_builder() {
    let ignore = text(".dockerignore");
    let sent: Vec<&str> = ignore.lines().filter_map(|line| line.strip_prefix('!')).collect();
    let mut copied = 0;
    for copy in instruction("COPY").iter().filter(|copy| !copy.starts_with("--from=")) {
        let sources: Vec<&str> = copy.split_whitespace().collect();
        for source in &sources[..sources.len() - 1] {
            assert!(path(source).exists(), "COPY {copy}");
            let first = source.split('/').next().expect("a name");
            assert!(sent.contains(&first), ".dockerignore leaves {first} out");
            copied += 1;
        }
    }
    assert!(copied >= 6, "{copied}");
    let configured = instruction("COPY").into_iter().find_map(|copy| {
        let place = copy.strip_prefix("config/production.toml ")?;
        Some(place.to_owned())
    });
    let configured = configured.expect("the image has the configuration");
    let compose = compose();
    for (name, service) in ours(&compose) {
        assert_eq!(environment(service)["UPDRAFT_CONFIG"], configured, "{name}");
    }
    for unit in UNITS {
        let place = format!("UPDRAFT_CONFIG={configured}");
        assert!(settings_of(&text(unit), "Environment").contains(&place.as_str()), "{unit}");
    }
    // What the program is built of lies in what is copied before it is built.
    let manifest = text("Cargo.toml");
    let named = Regex::new(r#"(?m)^path = "([a-z]+)/"#).expect("a regex");
    for found in named.captures_iter(&manifest) {
        assert!(sent.contains(&&found[1]), "Cargo.toml names {}", &found[1]);
    }
}

#[test]
fn images_are_pinned_and_the_programs_image_runs_as_nobody_special() {
    let compose = compose();
    let mut images: Vec<String> =
        services(&compose).values().map(|service| word(&service["image"]).to_owned()).collect();
    images.extend(instruction("FROM").iter().map(|from| from.split(' ').next().expect("an image").to_owned()));
    for image in images {
        let (_, tag) = image.split_once(':').unwrap_or_else(|| panic!("{image} has no tag"));
        assert!(tag.contains('.') && tag.starts_with(|c: char| c.is_ascii_digit()), "{image} is not pinned");
    }
    let version = format!("updraft:{}", env!("CARGO_PKG_VERSION"));
    for (name, service) in ours(&compose) {
        assert_eq!(word(&service["image"]), version, "{name}");
        assert_eq!(service["build"]["dockerfile"], "docker/Dockerfile", "{name}");
    }
    let rust = text("Cargo.toml");
    let rust = settings_of(&rust, "rust-version ")[0].trim().trim_matches('"').to_owned();
    assert!(instruction("FROM")[0].starts_with(&format!("rust:{rust}")), "the toolchain that Cargo.toml asks for");
    let user = instruction("USER");
    let (uid, _) = user.last().expect("a user").split_once(':').expect("user and group");
    assert!(uid.parse::<u32>().expect("a number, for those who check that it is not root") > 0);
}

#[test]
fn services_find_each_other_and_get_no_secret_that_is_not_theirs() {
    let compose = compose();
    let all = services(&compose);
    let address = Regex::new(r"@([a-z0-9-]+):(\d+)/").expect("a regex");
    for (name, service) in ours(&compose) {
        let environment = environment(service);
        for value in environment.values() {
            for found in address.captures_iter(value) {
                assert!(all.contains_key(&found[1]), "{name} looks for {}", &found[1]);
                let port = match &found[1] {
                    "postgres" => "5432",
                    "rabbitmq" => "5672",
                    other => panic!("{name} looks for {other}"),
                };
                assert_eq!(&found[2], port, "{name}");
            }
        }
        let is_worker = words(&service["command"])[0] == "celery";
        let knows = |part: &str| environment.keys().any(|name| name.contains(part));
        assert_eq!(knows("DATABASE") || knows("FERNET"), !is_worker, "{name}: P6, no database credentials on workers");
        for needed in service["depends_on"].as_object().expect("what it waits for").keys() {
            let (needed, service) = (needed.as_str(), all[needed]);
            let ends = needed == "migrate";
            assert!(ends || service["healthcheck"]["test"].is_array(), "{name} waits for the health of {needed}");
        }
    }
    let example = text("docker/.env.example");
    let given: BTreeSet<&str> = example.lines().filter_map(|line| Some(line.split_once('=')?.0)).collect();
    let compose_text = text("docker/compose.yaml");
    let asked = Regex::new(r"\$\{([A-Z_]+)").expect("a regex");
    let asked: BTreeSet<&str> =
        asked.captures_iter(&compose_text).filter_map(|found| Some(found.get(1)?.as_str())).collect();
    let given: BTreeSet<&str> = given.into_iter().filter(|name| !name.starts_with('#')).collect();
    assert_eq!(asked, given, "docker/.env.example names what compose.yaml asks for");
    assert_eq!(words(&all["web"]["command"])[0], "webserver");
    assert_eq!(words(&all["web"]["ports"]), ["127.0.0.1:8080:8080"], "nobody reaches it from outside without a proxy");
}

#[test]
fn every_home_belongs_to_one_service_and_every_volume_is_declared() {
    let compose = compose();
    let declared: BTreeSet<&String> = compose["volumes"].as_object().expect("volumes").keys().collect();
    let mut homes = BTreeSet::new();
    let folders = instruction("VOLUME").concat();
    for (name, service) in services(&compose) {
        for volume in words(&service["volumes"]) {
            let (from, to) = volume.rsplit_once(":/").expect("from and to");
            let to = to.trim_end_matches(":ro");
            if !from.starts_with("${") {
                assert!(declared.contains(&from.to_owned()), "{name}: {from}");
            }
            if to == "var/lib/updraft" {
                assert!(homes.insert(from.to_owned()), "{name} shares its home {from}: a home has one node");
            }
            if to.starts_with("var/lib/updraft") || to.starts_with("var/log/updraft") {
                assert!(folders.contains(&format!("/{to}\"")), "{name}: the image knows no folder /{to}");
            }
        }
    }
    assert_eq!(homes.len(), 6);
    assert_eq!(production(&BTreeMap::new()).logging.base_log_folder, Path::new("/var/log/updraft"));
}

#[test]
fn the_port_of_the_image_is_the_one_that_it_listens_on() {
    let port = production(&BTreeMap::new()).api.port.to_string();
    assert_eq!(instruction("EXPOSE"), std::slice::from_ref(&port));
    let command = instruction("CMD").concat();
    assert!(command.contains(&format!("\"--port\", \"{port}\"")), "{command}");
}

#[test]
fn systemd_finds_nothing_wrong_with_the_units() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut copies = Vec::new();
    for unit in UNITS {
        // It looks for the program too.
        let here = text(unit).replace("/usr/local/bin/updraft", env!("CARGO_BIN_EXE_updraft"));
        let copy = folder.path().join(Path::new(unit).file_name().expect("a name"));
        fs::write(&copy, here).expect("a copy");
        copies.push(copy);
    }
    let Ok(verified) = Command::new("systemd-analyze").arg("verify").args(&copies).output() else {
        eprintln!("there is no systemd-analyze on this machine");
        return;
    };
    let said = String::from_utf8_lossy(&verified.stderr).into_owned();
    let ours = said.lines().filter(|line| line.contains("updraft-")).collect::<Vec<_>>();
    assert!(verified.status.success() && ours.is_empty(), "{said}");
}
