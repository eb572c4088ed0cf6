//! Icons: one path each on a grid of 16, drawn by the stylesheet in the colour of the text around.

use maud::{Markup, html};

/// A drawing. What it says is said in words beside it, so it is hidden from those who listen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Icon {
    Play,
    Pause,
    Check,
    Cross,
    Clock,
    Queue,
    Retry,
    Skip,
    Up,
    Moon,
    Calendar,
    Circle,
    Dash,
    Person,
    Search,
    Warning,
    Theme,
    Bash,
    Python,
    Empty,
    Sensor,
    Branch,
    Mail,
    Web,
    Database,
    Group,
    Trigger,
    Drain,
    Edit,
    Delete,
    Plus,
    More,
    Down,
    File,
    Worker,
    Asset,
}

impl Icon {
    /// Inside another drawing, its outline alone.
    pub fn path(self) -> &'static str {
        match self {
            Self::Play => "M4.5 2.8v10.4L13 8z",
            Self::Pause => "M5 3v10M11 3v10",
            Self::Check => "M3 8.5l3.2 3.3L13 4.5",
            Self::Cross => "M4 4l8 8M12 4l-8 8",
            Self::Clock => "M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12zM8 4.8V8l2.3 1.6",
            Self::Queue => "M2.5 4h11M2.5 8h11M2.5 12h7",
            Self::Retry => "M13 8a5 5 0 1 1-1.5-3.6M13 2v3h-3",
            Self::Skip => "M3 3.5L8.5 8 3 12.5zM12 3.5v9",
            Self::Up => "M8 13V3.5M4 7l4-4 4 4",
            Self::Moon => "M13 9.5A5.5 5.5 0 1 1 6.5 3 4.5 4.5 0 0 0 13 9.5z",
            Self::Calendar => "M2.5 4h11v9.5h-11zM2.5 7h11M5.5 2v3M10.5 2v3",
            Self::Circle => "M8 13A5 5 0 1 0 8 3a5 5 0 0 0 0 10z",
            Self::Dash => "M4 8h8",
            Self::Person => {
                "M8 8a2.7 2.7 0 1 0 0-5.4A2.7 2.7 0 0 0 8 8zM2.8 13.8c.6-2.6 2.6-3.8 5.2-3.8s4.6 1.2 5.2 3.8"
            }
            Self::Search => "M7 12A5 5 0 1 0 7 2a5 5 0 0 0 0 10zM10.8 10.8L14 14",
            Self::Warning => "M8 2.2L14.4 13.5H1.6zM8 6.5v3M8 11.6v.2",
            Self::Theme => "M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12zM8 2v12M8 5h4.6M8 8h6M8 11h4.6",
            Self::Bash => "M2.5 3h11v10h-11zM5 6l2 2-2 2M8.5 10.5h2.5",
            Self::Python => "M5 4.5L2 8l3 3.5M11 4.5L14 8l-3 3.5M9 3L7 13",
            Self::Empty => "M3 8a5 5 0 0 1 10 0 5 5 0 0 1-10 0zM5.2 8h5.6",
            Self::Sensor => {
                "M1.5 8S4 3.8 8 3.8 14.5 8 14.5 8 12 12.2 8 12.2 1.5 8 1.5 8zM8 9.8a1.8 1.8 0 1 0 0-3.6 1.8 1.8 0 0 0 0 3.6z"
            }
            Self::Branch => "M2 8h4l5-4.5M6 8l5 4.5M8.5 3.2l3-.2-.3 3M8.5 12.8l3 .2-.3-3",
            Self::Mail => "M2 4h12v8.5H2zM2 4.5L8 9l6-4.5",
            Self::Web => {
                "M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12zM2 8h12M8 2c2 2 2.6 4 2.6 6S10 12 8 14M8 2C6 4 5.4 6 5.4 8S6 12 8 14"
            }
            Self::Database => {
                "M3 4.2C3 3 5.2 2.2 8 2.2s5 .8 5 2-2.2 2-5 2-5-.8-5-2zM3 4.2v7.6c0 1.2 2.2 2 5 2s5-.8 5-2V4.2M3 8c0 1.2 2.2 2 5 2s5-.8 5-2"
            }
            Self::Group => "M2.5 2.5h5v5h-5zM8.5 8.5h5v5h-5zM9.5 4.5h3M4.5 9.5v3",
            Self::Trigger => "M9 1.5L3.5 9H8l-1 5.5L12.5 7H8z",
            Self::Drain => "M2 3h12l-4.5 5.5V13l-3 1.2V8.5z",
            Self::Edit => "M3 13l.6-3L10.5 3l2.5 2.5-7 7z",
            Self::Delete => "M2.5 4.5h11M6 4.5V2.5h4v2M4 4.5l.7 9h6.6l.7-9",
            Self::Plus => "M8 3v10M3 8h10",
            Self::More => "M3.5 8h.1M8 8h.1M12.5 8h.1",
            Self::Down => "M4 6.5L8 10.5l4-4",
            Self::File => "M4 1.8h5l3.2 3.2v9.2H4zM9 1.8V5h3.2",
            Self::Worker => "M2.5 3h11v4h-11zM2.5 9h11v4h-11zM5 5h.1M5 11h.1",
            Self::Asset => "M8 1.8l5.8 3.1v6.2L8 14.2l-5.8-3.1V4.900zM2.400 5L8 8l5.6-3M8 8v6",
        }
    }
}

/// The icon, in the colour of the text around it.
pub fn icon(icon: Icon) -> Markup {
    html! {
        svg.icon viewBox="0 0 16 16" aria-hidden="true" focusable="false" { path d=(icon.path()); }
    }
}
