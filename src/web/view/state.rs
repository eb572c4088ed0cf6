//! States for the eye: an icon and a word, in the state's colour. Never colour alone.

use maud::{Markup, html};

use crate::domain::state::{RunState, TaskState};

use super::icon::{Icon, icon};

/// How a state looks. The class `s-<word>` gives its colour to whatever wears it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    pub word: &'static str,
    pub class: &'static str,
    pub icon: Icon,
}

impl From<TaskState> for Look {
    fn from(state: TaskState) -> Self {
        let (class, icon) = match state {
            TaskState::None => ("s-none", Icon::Circle),
            TaskState::Scheduled => ("s-scheduled", Icon::Clock),
            TaskState::Queued => ("s-queued", Icon::Queue),
            TaskState::Running => ("s-running", Icon::Play),
            TaskState::Success => ("s-success", Icon::Check),
            TaskState::Failed => ("s-failed", Icon::Cross),
            TaskState::Skipped => ("s-skipped", Icon::Skip),
            TaskState::UpstreamFailed => ("s-upstream_failed", Icon::Up),
            TaskState::UpForRetry => ("s-up_for_retry", Icon::Retry),
            TaskState::UpForReschedule => ("s-up_for_reschedule", Icon::Calendar),
            TaskState::Deferred => ("s-deferred", Icon::Moon),
            TaskState::Restarting => ("s-restarting", Icon::Retry),
            TaskState::Removed => ("s-removed", Icon::Dash),
            TaskState::AwaitingInput => ("s-awaiting_input", Icon::Person),
        };
        Self { word: state.as_str(), class, icon }
    }
}

impl From<RunState> for Look {
    fn from(state: RunState) -> Self {
        match state {
            RunState::Queued => TaskState::Queued,
            RunState::Running => TaskState::Running,
            RunState::Success => TaskState::Success,
            RunState::Failed => TaskState::Failed,
        }
        .into()
    }
}

/// The icon and the word.
pub fn badge(state: impl Into<Look>) -> Markup {
    let look = state.into();
    html! { span class={ "badge " (look.class) } { (icon(look.icon)) (look.word) } }
}

/// The icon alone, for where there is no room; the word is its name for those who hover or listen.
pub fn small_badge(state: impl Into<Look>) -> Markup {
    let look = state.into();
    html! {
        span class={ "badge lone " (look.class) } title=(look.word) { (icon(look.icon)) span.unseen { (look.word) } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STYLE: &str = include_str!("../asset/updraft.css");

    #[test]
    fn every_state_has_a_colour_and_no_two_share_icon_and_class() {
        let looks: Vec<Look> = TaskState::ALL.into_iter().map(Look::from).collect();
        for look in &looks {
            assert_eq!(look.class, format!("s-{}", look.word));
            assert!(STYLE.contains(&format!(".{} {{ --state: var(--{}); }}", look.class, look.word)), "{look:?}");
            assert!(STYLE.contains(&format!("--{}: light-dark(", look.word)), "{look:?}");
        }
    }

    #[test]
    fn a_badge_says_its_state_in_a_word_too() {
        let html = badge(RunState::Failed).into_string();
        assert!(html.contains("s-failed") && html.ends_with("failed</span>"), "{html}");
        assert!(small_badge(TaskState::Deferred).into_string().contains("deferred</span>"));
    }

    /// Red, green and blue of an `oklch(l c h)`, linear.
    fn linear(text: &str) -> [f64; 3] {
        let numbers: Vec<f64> =
            text.replace("var(--hue)", "255").split_whitespace().map(|n| n.parse().expect("a number")).collect();
        let [light, chroma, hue] = numbers[..] else { panic!("three numbers in {text:?}") };
        let (sine, cosine) = hue.to_radians().sin_cos();
        let (a, b) = (chroma * cosine, chroma * sine);
        let long = (light + 0.396_337_777_4 * a + 0.215_803_757_3 * b).powi(3);
        let middle = (light - 0.105_561_345_8 * a - 0.063_854_172_8 * b).powi(3);
        let short = (light - 0.089_484_177_5 * a - 1.291_485_548_0 * b).powi(3);
        [
            4.076_741_662_1 * long - 3.307_711_591_3 * middle + 0.230_969_929_2 * short,
            -1.268_438_004_6 * long + 2.609_757_401_1 * middle - 0.341_319_396_5 * short,
            -0.004_196_086_3 * long - 0.703_418_614_7 * middle + 1.707_614_701_0 * short,
        ]
        .map(|part| part.clamp(0.0, 1.0))
    }

    /// The light and the dark value of a token of the stylesheet.
    fn token(name: &str) -> [String; 2] {
        let start = format!("  --{name}: light-dark(oklch(");
        let line = STYLE.lines().find_map(|line| line.strip_prefix(&start)).unwrap_or_else(|| panic!("no --{name}"));
        let (light, dark) = line.split_once("), oklch(").expect("two colours");
        [light.to_owned(), dark.trim_end_matches([')', ';']).to_owned() + if dark.contains("--hue") { ")" } else { "" }]
    }

    fn contrast(one: &str, other: &str) -> f64 {
        let luminance = |text: &str| {
            let [red, green, blue] = linear(text);
            0.2126 * red + 0.7152 * green + 0.0722 * blue
        };
        let (one, other) = (luminance(one), luminance(other));
        (one.max(other) + 0.05) / (one.min(other) + 0.05)
    }

    #[test]
    fn colours_of_states_and_of_text_are_told_from_the_ground_in_both_themes() {
        let words = ["ink", "quiet", "accent", "bad-ink"].map(|name| (name, 4.5));
        let states = TaskState::ALL.map(|state| (state.as_str(), 3.0));
        for (name, least) in words.into_iter().chain(states).chain([("edge", 3.0)]) {
            for ground in ["ground", "raised"] {
                for theme in [0, 1] {
                    let found = contrast(&token(name)[theme], &token(ground)[theme]);
                    assert!(found >= least, "--{name} on --{ground}: {found:.2}, at least {least} is needed");
                }
            }
        }
    }
}
