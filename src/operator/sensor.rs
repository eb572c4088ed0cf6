//! Sensors: look, and look again later. Whether the slot is held in between is the author's choice (SCHEDULING §9).

use chrono::Utc;
use serde_json::Value;

use super::channel::{Channel, ChannelError};
use super::http::{Target, Wanted, fail_on_status};
use super::{End, file, say, sql};
use crate::domain::native::{Aim, HttpWatch, Poking, Sensor, SqlWatch, Watched};
use crate::domain::template::{is_true, name_of};
use crate::domain::time::{Time, after};
use crate::domain::wait::{Awaited, Seen};
use crate::protocol::task_channel::Operate;
use crate::protocol::work::Question;

pub(super) fn run(sensor: &Sensor, operate: &Operate, channel: &mut Channel) -> Result<Value, End> {
    let poking = &sensor.poking;
    let since = operate.waiting_since.unwrap_or_else(Utc::now);
    let awaited = sensor.awaited(aim(operate, since)).map_err(End::FailedForGood)?;
    if let Some(awaited) = awaited.clone().filter(|_| poking.frees_its_slot()) {
        // Nobody needs to look: the scheduler knows when the time has come, and when the other task has ended.
        return Err(waits(poking, awaited));
    }
    let name = format!("{}#{}", operate.dag_id, operate.task_id);
    let mut pokes = operate.reschedules;
    loop {
        pokes += 1;
        if look(sensor, awaited.as_ref(), channel)? {
            say("Success criteria met. Exiting.");
            return Ok(Value::Null);
        }
        let now = Utc::now();
        if (now - since).to_std().unwrap_or_default() > poking.timeout {
            let why = poking.timed_out(since, now);
            let is_soft = poking.soft_fail || poking.never_fail;
            return Err(if is_soft { End::Skipped(why) } else { End::FailedForGood(why) });
        }
        let interval = poking.interval(&name, since, now, pokes);
        if poking.frees_its_slot() {
            return Err(waits(poking, Awaited::Look { at: after(now, interval) }));
        }
        std::thread::sleep(interval);
    }
}

fn aim(operate: &Operate, since: Time) -> Aim {
    Aim {
        since,
        logical_date: operate.logical_date,
        interval_end: operate.data_interval_end,
        run_after: operate.run_after,
    }
}

fn waits(poking: &Poking, awaited: Awaited) -> End {
    let awaited = Box::new(awaited);
    if poking.deferrable { End::Deferred(awaited) } else { End::Rescheduled(awaited) }
}

/// One look, with what the author wants errors to mean.
fn look(sensor: &Sensor, awaited: Option<&Awaited>, channel: &mut Channel) -> Result<bool, End> {
    let poking = &sensor.poking;
    let seen = match (&sensor.watched, awaited) {
        (Watched::File(watch), _) => file::poke(watch, channel),
        (Watched::Http(watch), _) => http(watch, channel),
        (Watched::Sql(watch), _) => query(watch, channel),
        (Watched::Moment(_) | Watched::ExternalTask(_), Some(awaited)) => look_at(awaited, channel),
        (Watched::Moment(_) | Watched::ExternalTask(_), None) => Ok(false),
    };
    match seen {
        Ok(done) => Ok(done),
        Err(End::Failed(why) | End::FailedForGood(why)) if poking.never_fail => {
            Err(End::Skipped(format!("Skipping due to never_fail is set to True: {why}")))
        }
        Err(End::Failed(why) | End::FailedForGood(why)) if poking.silent_fail => {
            say(&format!("Sensor poke failed: {why}"));
            Ok(false)
        }
        Err(End::FailedForGood(why)) if poking.soft_fail => {
            Err(End::Skipped(format!("Skipping due to soft_fail is set to True: {why}")))
        }
        Err(end) => Err(end),
    }
}

fn look_at(awaited: &Awaited, channel: &mut Channel) -> Result<bool, End> {
    match awaited {
        Awaited::Look { at } | Awaited::Moment { at } => {
            say(&format!("Checking if the time ({at}) has come"));
            Ok(Utc::now() >= *at)
        }
        Awaited::Tasks(tasks) => {
            say(&format!("Poking for {} on {} ...", tasks.dag, tasks.date));
            let answer = channel.question(Question::LookAt { tasks: tasks.clone() })?;
            let seen = serde_json::from_value(answer).map_err(|error| ChannelError::Refused(error.to_string()))?;
            match seen {
                Seen::NotYet => Ok(false),
                Seen::Done => Ok(true),
                Seen::Failed { why } => Err(End::FailedForGood(why)),
                Seen::Skipped { why } => Err(End::Skipped(why)),
            }
        }
        // Only a triggered run is waited for so, and never by a sensor.
        Awaited::Run(_) => Ok(false),
    }
}

fn http(watch: &HttpWatch, channel: &mut Channel) -> Result<bool, End> {
    let target = Target::find(watch.http_conn_id.as_deref(), &watch.endpoint, channel)?;
    let method = watch.method.as_deref().unwrap_or("GET");
    let wanted = Wanted { method, data: watch.request_params.as_ref(), json: None, headers: &watch.headers };
    let answer = target.send(&wanted, &watch.extra_options)?;
    if answer.status >= 400 && watch.extra_options.check_response.unwrap_or(true) {
        let not_yet = watch.response_error_codes_allowlist.clone().unwrap_or_else(|| vec!["404".to_owned()]);
        if not_yet.contains(&answer.status.to_string()) {
            return Ok(false);
        }
        fail_on_status(&answer)?;
    }
    match &watch.response_check {
        None => Ok(true),
        Some(check) => {
            let names = vec![("response", answer.into_response().into_value())];
            is_true(check, names).map_err(End::FailedForGood)
        }
    }
}

fn query(watch: &SqlWatch, channel: &mut Channel) -> Result<bool, End> {
    let connection = channel.connection(&watch.conn_id)?;
    say(&format!("Poking: {} (with parameters {})", watch.sql, watch.parameters.clone().unwrap_or_default()));
    let row = sql::first_row(&connection, watch.database.as_deref(), &watch.sql, watch.parameters.as_ref())?;
    let Some(row) = row else {
        return match watch.fail_on_empty {
            true => Err(End::Failed("No rows returned, raising as per fail_on_empty flag".to_owned())),
            false => Ok(false),
        };
    };
    let value = row.first().cloned().unwrap_or_default();
    let names = || vec![("value", name_of(&value)), ("row", name_of(&Value::Array(row.clone())))];
    if let Some(failure) = &watch.failure
        && is_true(failure, names()).map_err(End::FailedForGood)?
    {
        return Err(End::Failed(format!("Failure criteria met. `{failure}` is true for {value}")));
    }
    match &watch.success {
        Some(success) => is_true(success, names()).map_err(End::FailedForGood),
        None => is_true("value", names()).map_err(End::FailedForGood),
    }
}
