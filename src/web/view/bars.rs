//! Runs as bars: height is duration, colour is state, a click opens the run, hover names it.

use maud::{Markup, html};

use crate::domain::time::{Time, until};
use crate::store::query::RunBar;

use super::address::escape;
use super::number;
use super::state::Look;
use super::time;

/// Pixels.
const STEP: usize = 6;
const WIDTH: usize = 5;
const HEIGHT: u64 = 22;
/// So that a short run can be seen and hit.
const LEAST: u64 = 4;

/// The runs of a DAG, oldest first; `link` is the DAG's address.
pub fn bars(link: &str, runs: &[RunBar], now: Time) -> Markup {
    if runs.is_empty() {
        return time::dash();
    }
    let lasted = |run: &RunBar| run.started_at.map(|started| until(started, run.ended_at.unwrap_or(now)));
    let longest = runs.iter().filter_map(lasted).max().unwrap_or_default().as_micros().max(1);
    let height = |run: &RunBar| {
        let lasted = lasted(run).unwrap_or_default().as_micros();
        u64::try_from(lasted * u128::from(HEIGHT) / longest).unwrap_or(HEIGHT).clamp(LEAST, HEIGHT)
    };
    let name = |run: &RunBar| {
        let took = lasted(run).map_or_else(String::new, |took| format!(", {}", number::duration(took)));
        format!("{}: {}{took}, {}", run.run_id, run.state, time::exact(&run.run_after))
    };
    html! {
        svg.bars width=(runs.len() * STEP) height=(HEIGHT + 2) role="img" aria-label={ "The last " (runs.len()) " runs" } {
            @for (at, run) in runs.iter().enumerate() {
                @let tall = height(run);
                a href={ (link) "/runs/" (escape(run.run_id.as_str())) } {
                    title { (name(run)) }
                    rect.reach x=(at * STEP) y="0" width=(STEP) height=(HEIGHT + 2) {}
                    rect class=(Look::from(run.state).class) x=(at * STEP) y=(HEIGHT - tall) width=(WIDTH) height=(tall) rx="1" {}
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::RunId;
    use crate::domain::run::RunType;
    use crate::domain::state::RunState;

    #[test]
    fn the_longest_run_is_the_highest_bar_and_each_leads_to_its_run() {
        let start: Time = "2026-11-20T00:00:00Z".parse().expect("an instant");
        let run = |name: &str, seconds: i64| RunBar {
            run_id: RunId::new(name).expect("an id"),
            run_type: RunType::Manual,
            state: RunState::Success,
            run_after: start,
            started_at: Some(start),
            ended_at: Some(start + chrono::Duration::seconds(seconds)),
        };
        let html = bars("/dags/etl", &[run("manual__a+b", 10), run("c", 5)], start).into_string();
        assert!(html.contains(r#"href="/dags/etl/runs/manual__a%2Bb""#), "{html}");
        assert!(html.contains(r#"height="22" rx"#) && html.contains(r#"height="11" rx"#), "{html}");
        assert!(html.contains("<title>c: success, 5.0 s, 2026-11-20 00:00:00 UTC</title>"), "{html}");
    }
}
