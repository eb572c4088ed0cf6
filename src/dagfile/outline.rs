//! The outline of a YAML DAG file: which DAG, task and key a position lies in.
//! Read only to say where an error is; it accepts whatever the real reading refused.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Options;

use super::written::{At, Position};

/// Names what lies at `position`: ``DAG `d`, task `t`: `key`: ``; `names_key` says that the
/// sentence that follows names a key which stands right there. `None` where nothing is known.
pub fn subject_of(text: &str, position: Position, names_key: bool, options: Options) -> Option<String> {
    let mut reader = text.as_bytes();
    let document = serde_saphyr::read_with_options::<_, At<Tree>>(&mut reader, options)
        .map_while(Result::ok)
        .take_while(|document| begins_before(document.position, position))
        .last()?;
    let (key, value) = document.value.entry_at(position)?;
    let dag = document.value.text("dag_id").map(|dag| format!("DAG `{dag}`"));
    let task = (key.value == "tasks").then(|| value.task_at(position)).flatten();
    let (task, key) = match task {
        Some((name, task)) => (name, task.entry_at(position).map(|(key, _)| key)),
        None => (None, Some(key)),
    };
    let task = task.map(|name| format!("task `{name}`"));
    let whole = [dag, task].into_iter().flatten().collect::<Vec<_>>().join(", ");
    let key = key.filter(|key| !(names_key && key.position == Some(position))).map(|key| format!("`{}`", key.value));
    let parts = [Some(whole).filter(|whole| !whole.is_empty()), key];
    Some(parts.into_iter().flatten().fold(String::new(), |all, part| all + &part + ": "))
}

fn begins_before(start: Option<Position>, position: Position) -> bool {
    start.is_some_and(|start| (start.line, start.column) <= (position.line, position.column))
}

/// A document as far as an error's place needs it.
#[derive(Default)]
enum Tree {
    Map(Vec<(At<String>, Tree)>),
    List(Vec<At<Tree>>),
    Text(String),
    #[default]
    Other,
}

impl Tree {
    /// The entry of a mapping in which `position` lies: the last that begins before it.
    fn entry_at(&self, position: Position) -> Option<(&At<String>, &Tree)> {
        let Self::Map(entries) = self else { return None };
        entries.iter().rfind(|(key, _)| begins_before(key.position, position)).map(|(key, value)| (key, value))
    }

    /// The text behind a key of a mapping.
    fn text(&self, key: &str) -> Option<&str> {
        let Self::Map(entries) = self else { return None };
        entries.iter().find(|(name, _)| name.value == key).and_then(|(_, value)| match value {
            Self::Text(text) => Some(text.as_str()),
            Self::Map(_) | Self::List(_) | Self::Other => None,
        })
    }

    /// The task at `position` and its name, when this is the value of `tasks`.
    fn task_at(&self, position: Position) -> Option<(Option<&str>, &Tree)> {
        match self {
            Self::Map(_) => self.entry_at(position).map(|(name, task)| (Some(name.value.as_str()), task)),
            Self::List(tasks) => {
                let task = tasks.iter().rfind(|task| begins_before(task.position, position))?;
                Some((task.value.text("task_id").or_else(|| task.value.text("id")), &task.value))
            }
            Self::Text(_) | Self::Other => None,
        }
    }
}

struct TreeVisitor;

impl<'de> Visitor<'de> for TreeVisitor {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("anything")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tree, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Tree::Map(entries))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Tree, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = list.next_element()? {
            elements.push(element);
        }
        Ok(Tree::List(elements))
    }
    fn visit_str<E>(self, text: &str) -> Result<Tree, E> {
        Ok(Tree::Text(text.to_owned()))
    }
    fn visit_bool<E>(self, _: bool) -> Result<Tree, E> {
        Ok(Tree::Other)
    }
    fn visit_i64<E>(self, _: i64) -> Result<Tree, E> {
        Ok(Tree::Other)
    }
    fn visit_u64<E>(self, _: u64) -> Result<Tree, E> {
        Ok(Tree::Other)
    }
    fn visit_f64<E>(self, _: f64) -> Result<Tree, E> {
        Ok(Tree::Other)
    }
    fn visit_unit<E>(self) -> Result<Tree, E> {
        Ok(Tree::Other)
    }
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TreeVisitor)
    }
}
