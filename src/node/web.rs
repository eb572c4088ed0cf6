//! What the web server is given: the store, the way to the scheduler, the changes as they come.

use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::watch::Receiver;

use crate::auth::{Accounts, Configured, Jwt, Role, UnknownRole, secret};
use crate::config::{self, Environment};
use crate::domain::problem::{Place, Problem};
use crate::protocol::control::{Control, Reply};
use crate::scheduler::actor::Scheduler;
use crate::scheduler::message::{Ask, Subscribe, Watch as Events};
use crate::store::Store;
use crate::web::audit::Record;
use crate::web::health::Pulse;
use crate::web::metrics::Counters;
use crate::web::settings::{ConfigRow, Era, Exposed};
use crate::web::sign_in::{Holds, Proxy, SignIn};
use crate::web::vault::WebVault;
use crate::web::watch::{Sink, Tap, Watch};
use crate::web::{Catalogue, ControlRefused, Controller, LogFolder, Parts, Renderer, Scope, Server, Web, WebSettings};

use super::client::{self, Client, ClientError};
use super::fernet_key;
use super::onlooker::look_on;
use super::render::{Wish, rendered};
use super::run::{NodeError, base_url};

/// The scheduler of this process; none while another process leads, or where there is none here.
pub(super) type Here = Receiver<Option<Addr<Scheduler>>>;

/// Serves what belongs to `scope` on its address.
pub(super) fn serve(
    config: &config::Config,
    environment: &Environment,
    store: &Store,
    here: Here,
    pulse: Pulse,
    scope: Scope,
) -> Result<Server, NodeError> {
    let settings = config.settings();
    let (host, _) = place(settings, scope);
    if settings.core.simple_auth_manager_all_admins && !is_loopback(host) {
        let message = format!(
            "[core] simple_auth_manager_all_admins: everybody who reaches {} would be an administrator",
            address(settings, scope)
        );
        let problem = Problem::error(Place::file("the configuration"), message);
        return Err(NodeError::Configuration(problem.hint("listen on 127.0.0.1, or let people sign in")));
    }
    let vault = client::vault(settings, environment, store).map_err(ClientError::Key)?;
    let web = Web::new(Parts {
        store: store.clone(),
        vault: WebVault::new(vault, Record::new(store.clone())),
        record: Record::new(store.clone()),
        counters: Counters::default(),
        sign_in: sign_in(config, store, scope)?,
        controller: controller(settings, store, here.clone()),
        watch: Watch::new(tap(here, store.clone())),
        pulse,
        logs: LogFolder::new(&settings.logging.base_log_folder),
        settings: web_settings(config),
        catalogue: Catalogue::default(),
        renderer: renderer(settings, environment, store)?,
    });
    let address = address(settings, scope);
    crate::web::serve(&address, web, scope).map_err(|why| NodeError::Listen { address, why })
}

fn place(settings: &config::Settings, scope: Scope) -> (&str, u16) {
    match scope {
        Scope::Everything => (&settings.api.host, settings.api.port),
        Scope::Workers => (&settings.celery.flower_host, settings.celery.flower_port),
    }
}

pub(super) fn address(settings: &config::Settings, scope: Scope) -> String {
    let (host, port) = place(settings, scope);
    // The colons of an IPv6 address are not the one before the port.
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Straight to the scheduler of this process; else by a durable row and a nudge, as the command line does it.
fn controller(settings: &config::Settings, store: &Store, here: Here) -> Controller {
    let client = Arc::new(Client::over(store.clone(), settings));
    Arc::new(move |control: Control, user: String| {
        let (client, scheduler) = (Arc::clone(&client), here.borrow().clone());
        Box::pin(async move {
            if let Some(scheduler) = scheduler
                && let Ok(reply) = scheduler.send(Ask(control.clone())).await
            {
                return Ok::<Reply, _>(reply);
            }
            let answered = client.control(&control, Some(&user)).await;
            answered.map_err(|error| ControlRefused::NoAnswer(error.to_string()))
        })
    })
}

/// What the command line's `tasks render` prints.
fn renderer(settings: &config::Settings, environment: &Environment, store: &Store) -> Result<Renderer, NodeError> {
    let vault = Arc::new(client::vault(settings, environment, store).map_err(ClientError::Key)?);
    let (settings, store) = (Arc::new(settings.clone()), store.clone());
    Ok(Arc::new(move |dag, run, task, map_index| {
        let (settings, store, vault) = (Arc::clone(&settings), store.clone(), Arc::clone(&vault));
        Box::pin(async move {
            let said = |error: &dyn std::fmt::Display| error.to_string();
            let entry = store.dag(&dag).await.map_err(|error| said(&error))?;
            let definition = entry.ok_or_else(|| format!("no DAG is named `{dag}`"))?.definition;
            let run = store.run(&dag, &run).await.map_err(|error| said(&error))?;
            let wish = Wish { task: &task, map_index, run, date: None };
            rendered(&store, &vault, &settings, definition, wish).await.map_err(|error| said(&error))
        })
    }))
}

/// The changes that the scheduler of this process commits; while another one leads, what the database shows of them.
fn tap(here: Here, store: Store) -> Tap {
    Arc::new(move |sink: Sink| {
        let (mut here, store) = (here.clone(), store.clone());
        Box::pin(async move {
            loop {
                let scheduler = here.borrow_and_update().clone();
                let Some(scheduler) = scheduler else {
                    tokio::select! {
                        () = look_on(store.clone(), &sink) => {}
                        changed = here.changed() => match changed {
                            Ok(()) => sink.missed(),
                            // Nobody ever leads here.
                            Err(_) => return look_on(store, &sink).await,
                        },
                    }
                    continue;
                };
                if let Ok(Events(mut events)) = scheduler.send(Subscribe).await {
                    sink.opened();
                    loop {
                        match events.recv().await {
                            Ok(event) => sink.change(event.at, event.change),
                            Err(RecvError::Lagged(_)) => sink.missed(),
                            Err(RecvError::Closed) => break,
                        }
                    }
                }
                sink.missed();
                // This reign is over; the next one is announced.
                if here.changed().await.is_err() {
                    return look_on(store, &sink).await;
                }
            }
        })
    })
}

/// The users whom the configuration names.
pub(super) fn configured(config: &config::Config) -> Result<Configured, NodeError> {
    let core = &config.settings().core;
    // FabAuthManager of Airflow 2 knows the users of the database alone.
    if !core.auth_manager.contains("SimpleAuthManager") {
        return Ok(Configured::none());
    }
    let file = match core.simple_auth_manager_passwords_file.as_os_str().is_empty() {
        true => config.settings().home.join("simple_auth_manager_passwords.json.generated"),
        false => core.simple_auth_manager_passwords_file.clone(),
    };
    let are_default = config.is_default("core", "simple_auth_manager_users");
    Configured::parse(&core.simple_auth_manager_users, file, are_default)
        .map_err(|why| wrong("core", "simple_auth_manager_users", &why))
}

fn sign_in(config: &config::Config, store: &Store, scope: Scope) -> Result<SignIn, NodeError> {
    let settings = config.settings();
    let configured = match scope {
        Scope::Everything => configured(config)?,
        Scope::Workers => configured(config)?
            .with_passwords(settings.celery.flower_basic_auth.reveal(), Role::Op)
            .map_err(|why| wrong("celery", "flower_basic_auth", &why))?,
    };
    let (api, tokens) = (&settings.api, &settings.api_auth);
    let key = jwt_key(settings)?;
    let minutes = |minutes: u32| Duration::from_secs(u64::from(minutes) * 60);
    let address = |text: &String| {
        text.parse().map_err(|_| wrong("api", "remote_user_proxies", &format!("expected an IP address, got `{text}`")))
    };
    let proxy = Proxy {
        addresses: api.remote_user_proxies.iter().map(address).collect::<Result<_, _>>()?,
        header: Some(api.remote_user_header.trim().to_owned()).filter(|header| !header.is_empty()),
        role: api
            .remote_user_role
            .parse()
            .map_err(|unknown: UnknownRole| wrong("api", "remote_user_role", &unknown.to_string()))?,
    };
    if proxy.header.is_some() && proxy.addresses.is_empty() {
        let why = "it is set, and no address of a proxy is: everybody could send it";
        return Err(wrong("api", "remote_user_header", why));
    }
    let holds = Holds {
        token: tokens.expiration,
        cli_token: tokens.cli_expiration,
        session: minutes(api.session_lifetime_minutes),
        session_idle: minutes(api.session_idle_minutes),
    };
    let accounts = Accounts::new(store.clone(), configured);
    Ok(SignIn::new(accounts, Jwt::new(&key, &tokens.audience, tokens.leeway), holds, proxy))
}

/// The key that signs tokens: configured, or made once and kept in the home folder.
fn jwt_key(settings: &config::Settings) -> Result<String, NodeError> {
    let configured = settings.api_auth.jwt_secret.reveal();
    if !configured.is_empty() {
        return Ok(configured.to_owned());
    }
    let unusable = |why| NodeError::System { what: "cannot use the file `jwt.key` of the home folder", why };
    fernet_key::kept(&settings.home.join("jwt.key"), secret::random).map_err(unusable)
}

fn wrong(section: &str, key: &str, why: &str) -> NodeError {
    NodeError::Configuration(Problem::error(Place::file("the configuration"), format!("[{section}] {key}: {why}")))
}

fn web_settings(config: &config::Config) -> WebSettings {
    let settings = config.settings();
    let row = |entry: &config::Entry| ConfigRow {
        section: entry.key.name.section.to_owned(),
        key: entry.key.name.key.to_owned(),
        value: entry.masked(),
        origin: entry.origin.to_string(),
        is_default: entry.origin.is_default(),
        is_sensitive: entry.key.sensitive,
        explanation: config::explain(entry.key.name).to_owned(),
    };
    WebSettings {
        version: env!("CARGO_PKG_VERSION"),
        instance_name: settings.api.instance_name.clone(),
        era: match settings.core.era {
            config::Era::Airflow2 => Era::Airflow2,
            config::Era::Airflow3 => Era::Airflow3,
        },
        base_url: base_url(settings).trim_end_matches('/').to_owned(),
        executor: settings.core.executor,
        parallelism: settings.core.parallelism,
        dags_folder: settings.core.dags_folder.clone(),
        default_timezone: settings.core.default_timezone,
        page_size: settings.api.fallback_page_limit,
        largest_page: settings.api.maximum_page_limit,
        exposed: match settings.api.expose_config {
            config::ExposeConfig::False => Exposed::Nothing,
            config::ExposeConfig::True => Exposed::Everything,
            config::ExposeConfig::NonSensitiveOnly => Exposed::NotSensitive,
        },
        configuration: config.entries().iter().map(row).collect(),
        test_connection: settings.core.test_connection == config::TestConnection::Enabled,
        sensitive: super::translate::sensitive(settings),
        all_admins: settings.core.simple_auth_manager_all_admins,
        metrics_are_open: settings.metrics.prometheus_open_on_loopback && is_loopback(&settings.api.host),
    }
}
