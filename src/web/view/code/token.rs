//! Cuts Python and YAML into pieces for colouring. It need not understand a text: whatever it is, every letter comes
//! out again, in order.

/// What a piece of text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token {
    Plain,
    Keyword,
    Text,
    Number,
    Comment,
    /// A decorator of Python, a key of YAML.
    Name,
}

impl Token {
    pub fn class(self) -> Option<&'static str> {
        match self {
            Self::Plain => None,
            Self::Keyword => Some("k"),
            Self::Text => Some("t"),
            Self::Number => Some("n"),
            Self::Comment => Some("c"),
            Self::Name => Some("m"),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Language {
    Python,
    Yaml,
}

impl Language {
    /// By the ending of the file.
    pub fn of(file: &str) -> Self {
        let is_yaml = [".yaml", ".yml", ".json"].iter().any(|end| file.ends_with(end));
        if is_yaml { Self::Yaml } else { Self::Python }
    }
}

const KEYWORDS: [&str; 35] = [
    "False", "None", "True", "and", "as", "assert", "async", "await", "break", "class", "continue", "def", "del",
    "elif", "else", "except", "finally", "for", "from", "global", "if", "import", "in", "is", "lambda", "nonlocal",
    "not", "or", "pass", "raise", "return", "try", "while", "with", "yield",
];

const YAML_WORDS: [&str; 5] = ["true", "false", "null", "yes", "no"];

pub(super) fn tokens(language: Language, source: &str) -> impl Iterator<Item = (Token, &str)> {
    let mut rest = source;
    let mut starts_line = true;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (token, length) = match language {
            Language::Python => python(rest, starts_line),
            Language::Yaml => yaml(rest, starts_line),
        };
        let (text, after) = rest.split_at(length);
        rest = after;
        starts_line = text.ends_with('\n') || (starts_line && text.chars().all(|c| c.is_whitespace() || c == '-'));
        Some((token, text))
    })
}

/// How many bytes from the start are so.
fn while_(text: &str, holds: impl Fn(char) -> bool) -> usize {
    text.find(|c| !holds(c)).unwrap_or(text.len())
}

fn python(text: &str, starts_line: bool) -> (Token, usize) {
    let first = text.chars().next().unwrap_or(' ');
    let prefix = while_(text, |c| "rRbBfFuU".contains(c)).min(2);
    match first {
        '#' => (Token::Comment, while_(text, |c| c != '\n')),
        '@' if starts_line => (Token::Name, 1 + while_(&text[1..], |c| c.is_alphanumeric() || c == '_' || c == '.')),
        _ if text[prefix..].starts_with(['"', '\'']) => (Token::Text, prefix + quoted(&text[prefix..])),
        _ if first.is_ascii_digit() => {
            (Token::Number, while_(text, |c| c.is_ascii_alphanumeric() || c == '_' || c == '.'))
        }
        _ if first.is_alphabetic() || first == '_' => {
            let length = while_(text, |c| c.is_alphanumeric() || c == '_');
            let token = if KEYWORDS.contains(&&text[..length]) { Token::Keyword } else { Token::Plain };
            (token, length)
        }
        _ => (Token::Plain, plain(text, first)),
    }
}

/// Spaces together, everything else by itself.
fn plain(text: &str, first: char) -> usize {
    if first.is_whitespace() && first != '\n' {
        while_(text, |c| c.is_whitespace() && c != '\n')
    } else {
        first.len_utf8()
    }
}

/// A text in quotes, three of them or one; one that does not end goes to the end of its line, or of all.
fn quoted(text: &str) -> usize {
    let quote = &text[..1];
    let three = quote.repeat(3);
    let (open, end) = if text.starts_with(&three) { (3, three.as_str()) } else { (1, quote) };
    let mut at = open;
    while let Some(next) = text[at..].chars().next() {
        if text[at..].starts_with(end) {
            return at + end.len();
        }
        if next == '\n' && open == 1 {
            return at;
        }
        at += next.len_utf8();
        if next == '\\' {
            at += text[at..].chars().next().map_or(0, char::len_utf8);
        }
    }
    at
}

fn yaml(text: &str, starts_line: bool) -> (Token, usize) {
    let first = text.chars().next().unwrap_or(' ');
    match first {
        '#' => (Token::Comment, while_(text, |c| c != '\n')),
        '"' | '\'' => (Token::Text, quoted(text)),
        '&' | '*' => (Token::Name, 1 + while_(&text[1..], |c| c.is_alphanumeric() || c == '_' || c == '-')),
        _ if first.is_alphanumeric() || first == '_' || first == '<' => {
            let length = while_(text, |c| c.is_alphanumeric() || "_-./<@".contains(c)).max(first.len_utf8());
            let (word, after) = text.split_at(length);
            let is_key = after.starts_with(':') && after[1..].chars().next().is_none_or(char::is_whitespace);
            let token = match () {
                () if is_key && starts_line => Token::Keyword,
                () if is_key => Token::Name,
                () if word.chars().all(|c| c.is_ascii_digit() || c == '.') => Token::Number,
                () if YAML_WORDS.contains(&word) => Token::Number,
                () => Token::Plain,
            };
            (token, length)
        }
        _ => (Token::Plain, plain(text, first)),
    }
}
