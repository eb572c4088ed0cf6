use std::process::ExitCode;
fn main() -> ExitCode {
    match std::env::args().nth(1).as_deref() {
        Some("companion") => updraft::worker::companion::main(),
        Some("standalone") => {
            let env = updraft::config::Environment::from_process().unwrap();
            let loaded = updraft::config::load(&env, &[]).unwrap_or_else(|e| panic!("{e}"));
            updraft::telemetry::init("info", true);
            let r = actix::System::new().block_on(updraft::node::standalone::run(
                loaded.config,
                env,
                &mut std::io::stderr(),
            ));
            if let Err(e) = r {
                eprintln!("error: {e}");
                return ExitCode::from(1);
            }
            ExitCode::SUCCESS
        }
        _ => ExitCode::from(2),
    }
}
