//! A service that has nothing to do: it waits until it is asked to stop, as its unit file expects of it.

use super::run::NodeError;
use super::signals::Signals;

/// Until SIGINT or SIGTERM. `on_waiting` is called when neither of them ends the process by itself any more.
pub async fn until_asked(on_waiting: impl FnOnce()) -> Result<(), NodeError> {
    let signals = Signals::listen()?;
    on_waiting();
    signals.next().await;
    Ok(())
}
