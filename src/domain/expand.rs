//! Dynamic task mapping: what a task or a group of tasks is expanded over, into how many
//! instances, and what each of them gets (SCHEDULING §12).
//!
//! Lengths are all that the scheduler needs to know of values. [`Expand::pick`] names the
//! piece of every value that one instance wants; who runs the instance looks the pieces up.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::ids::{GroupId, TaskId};

/// A group of tasks; where it is expanded, all of them have the same map index.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaskGroup {
    pub group_id: GroupId,
    /// For people; the id where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tooltip: Option<String>,
    /// The group that it stands in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<GroupId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expand: Option<Expand>,
}

/// What a task or a group is expanded over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "snake_case", deny_unknown_fields)]
pub enum Expand {
    /// Every combination of the arguments; of two, the later one varies faster.
    Product { arguments: Vec<Argument> },
    /// One instance for each mapping of a list.
    Kwargs { source: Source },
}

/// One argument and where its values come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Argument {
    pub name: String,
    pub source: Source,
}

/// Where values come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "from", rename_all = "snake_case", deny_unknown_fields)]
pub enum Source {
    List {
        values: Vec<Value>,
    },
    /// Its entries, in their order.
    Dict {
        entries: Map<String, Value>,
    },
    /// What an upstream task left: the elements of its list or dict, or one value of each of its instances.
    #[serde(rename = "xcom")]
    XCom {
        task_id: TaskId,
        key: String,
    },
    /// Elements side by side; the shortest one ends it unless there is something to fill in.
    Zip {
        sources: Vec<Source>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        fill: Option<Value>,
    },
    /// One after the other.
    Concat {
        sources: Vec<Source>,
    },
    /// Each value as a Python function of the DAG file makes it.
    Map {
        source: Box<Source>,
    },
}

/// Tells how many values an upstream task left under a key.
pub type Lengths<'a> = &'a dyn Fn(&TaskId, &str) -> u32;

impl Expand {
    fn sources(&self) -> impl Iterator<Item = &Source> {
        let (arguments, one) = match self {
            Self::Product { arguments } => (arguments.as_slice(), None),
            Self::Kwargs { source } => (&[][..], Some(source)),
        };
        arguments.iter().map(|argument| &argument.source).chain(one)
    }

    /// The upstream tasks whose values it needs, by key; the same one may come twice.
    pub fn wants(&self) -> Vec<(&TaskId, &str)> {
        let mut wants = Vec::new();
        for source in self.sources() {
            source.add_wants(&mut wants);
        }
        wants
    }

    /// Whether a Python function of the DAG file has a part in it.
    pub fn needs_python(&self) -> bool {
        self.sources().any(Source::needs_python)
    }

    /// Into how many instances; `None` beyond what can be counted.
    pub fn length(&self, lengths: Lengths<'_>) -> Option<u32> {
        self.sources().try_fold(1_u32, |product, source| product.checked_mul(source.length(lengths)?))
    }

    /// What the instance of this index gets; `None` where the values are fewer.
    pub fn pick(&self, index: u32, lengths: Lengths<'_>) -> Option<Pieces> {
        match self {
            Self::Kwargs { source } => source.pick(index, lengths).map(|piece| Pieces::Kwargs { piece }),
            Self::Product { arguments } => {
                let mut rest = index;
                let mut pieces = Vec::with_capacity(arguments.len());
                for Argument { name, source } in arguments.iter().rev() {
                    let length = source.length(lengths).filter(|length| *length > 0)?;
                    let piece = source.pick(rest % length, lengths)?;
                    pieces.push(Named { name: name.clone(), piece });
                    rest /= length;
                }
                pieces.reverse();
                (rest == 0).then_some(Pieces::Arguments { arguments: pieces })
            }
        }
    }
}

impl Source {
    fn add_wants<'a>(&'a self, wants: &mut Vec<(&'a TaskId, &'a str)>) {
        match self {
            Self::List { .. } | Self::Dict { .. } => {}
            Self::XCom { task_id, key } => wants.push((task_id, key)),
            Self::Zip { sources, .. } | Self::Concat { sources } => {
                sources.iter().for_each(|source| source.add_wants(wants));
            }
            Self::Map { source } => source.add_wants(wants),
        }
    }

    fn needs_python(&self) -> bool {
        match self {
            Self::List { .. } | Self::Dict { .. } | Self::XCom { .. } => false,
            Self::Zip { sources, .. } | Self::Concat { sources } => sources.iter().any(Self::needs_python),
            Self::Map { .. } => true,
        }
    }

    fn length(&self, lengths: Lengths<'_>) -> Option<u32> {
        match self {
            Self::List { values } => u32::try_from(values.len()).ok(),
            Self::Dict { entries } => u32::try_from(entries.len()).ok(),
            Self::XCom { task_id, key } => Some(lengths(task_id, key)),
            Self::Map { source } => source.length(lengths),
            Self::Concat { sources } => {
                sources.iter().try_fold(0_u32, |sum, source| sum.checked_add(source.length(lengths)?))
            }
            Self::Zip { sources, fill } => {
                let all: Vec<u32> = sources.iter().map(|source| source.length(lengths)).collect::<Option<_>>()?;
                let end = if fill.is_some() { all.iter().max() } else { all.iter().min() };
                Some(end.copied().unwrap_or(0))
            }
        }
    }

    fn pick(&self, index: u32, lengths: Lengths<'_>) -> Option<Piece> {
        match self {
            Self::List { values } => values.get(index as usize).cloned().map(|value| Piece::Literal { index, value }),
            Self::Dict { entries } => {
                let (key, value) = entries.iter().nth(index as usize)?;
                Some(Piece::LiteralPair { index, key: key.clone(), value: value.clone() })
            }
            Self::XCom { task_id, key } => {
                let within = index < lengths(task_id, key);
                within.then(|| Piece::Wanted { task_id: task_id.clone(), key: key.clone(), index })
            }
            Self::Map { source } => source.pick(index, lengths).map(|piece| Piece::Map { piece: Box::new(piece) }),
            Self::Zip { sources, fill } => {
                let pieces = sources.iter().map(|source| source.pick(index, lengths)).collect();
                Some(Piece::Zip { pieces, fill: fill.clone().unwrap_or_default() })
            }
            Self::Concat { sources } => {
                let mut rest = index;
                for (source, number) in sources.iter().zip(0..) {
                    let length = source.length(lengths)?;
                    if rest < length {
                        let piece = Box::new(source.pick(rest, lengths)?);
                        return Some(Piece::Concat { source: number, piece });
                    }
                    rest -= length;
                }
                None
            }
        }
    }
}

/// What makes one instance of a mapped task differ from the others; travels with its message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mapped {
    /// How many instances the task has.
    pub count: u32,
    /// The arguments are those of its group, not its own.
    pub of_group: bool,
    /// `None`: what it was expanded over is no longer there.
    pub pieces: Option<Pieces>,
}

/// What one instance gets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "snake_case")]
pub enum Pieces {
    Arguments { arguments: Vec<Named> },
    Kwargs { piece: Piece },
}

/// One argument of one instance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Named {
    pub name: String,
    pub piece: Piece,
}

/// One value of one instance; [`Piece::Wanted`] is looked up by whoever runs it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum Piece {
    /// As the author wrote it: texts in it are templates.
    Literal {
        index: u32,
        value: Value,
    },
    LiteralPair {
        index: u32,
        key: String,
        value: Value,
    },
    /// Element `index` of what a task left.
    Wanted {
        task_id: TaskId,
        key: String,
        index: u32,
    },
    /// What a task left: never a template.
    Found {
        value: Value,
    },
    /// An entry of a dict that a task left.
    FoundPair {
        key: String,
        value: Value,
    },
    Zip {
        pieces: Vec<Option<Piece>>,
        fill: Value,
    },
    Concat {
        source: u32,
        piece: Box<Piece>,
    },
    Map {
        piece: Box<Piece>,
    },
}

/// One argument with its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Given {
    pub name: String,
    pub value: Value,
    /// The author wrote it, so texts in it are templates.
    pub is_literal: bool,
}

impl Pieces {
    /// Every value at the bottom, in order.
    pub fn each_mut<E>(&mut self, mut then: impl FnMut(&mut Piece) -> Result<(), E>) -> Result<(), E> {
        match self {
            Self::Arguments { arguments } => arguments.iter_mut().try_for_each(|named| named.piece.each_mut(&mut then)),
            Self::Kwargs { piece } => piece.each_mut(&mut then),
        }
    }

    /// The arguments as plain values, where no Python function has a part in them.
    pub fn given(&self) -> Result<Vec<Given>, String> {
        match self {
            Self::Arguments { arguments } => {
                let given = |Named { name, piece }: &Named| {
                    Ok(Given { name: name.clone(), value: piece.value()?, is_literal: piece.is_literal() })
                };
                arguments.iter().map(given).collect()
            }
            Self::Kwargs { piece } => match piece.value()? {
                Value::Object(entries) => {
                    let is_literal = piece.is_literal();
                    Ok(entries.into_iter().map(|(name, value)| Given { name, value, is_literal }).collect())
                }
                other => Err(format!("expected each element of `expand_kwargs` to be a mapping, got: {other}")),
            },
        }
    }
}

impl Piece {
    fn each_mut<E>(&mut self, then: &mut impl FnMut(&mut Self) -> Result<(), E>) -> Result<(), E> {
        match self {
            Self::Literal { .. }
            | Self::LiteralPair { .. }
            | Self::Wanted { .. }
            | Self::Found { .. }
            | Self::FoundPair { .. } => then(self),
            Self::Zip { pieces, .. } => pieces.iter_mut().flatten().try_for_each(|piece| piece.each_mut(then)),
            Self::Concat { piece, .. } | Self::Map { piece } => piece.each_mut(then),
        }
    }

    fn value(&self) -> Result<Value, String> {
        match self {
            Self::Literal { value, .. } | Self::Found { value } => Ok(value.clone()),
            Self::LiteralPair { key, value, .. } | Self::FoundPair { key, value } => {
                Ok(Value::Array(vec![Value::String(key.clone()), value.clone()]))
            }
            Self::Zip { pieces, fill } => {
                let values = pieces.iter().map(|piece| piece.as_ref().map_or_else(|| Ok(fill.clone()), Self::value));
                values.collect::<Result<_, _>>().map(Value::Array)
            }
            Self::Concat { piece, .. } => piece.value(),
            Self::Wanted { task_id, key, index } => {
                Err(format!("element {index} of XCom `{key}` of task `{task_id}` was not looked up"))
            }
            Self::Map { .. } => Err("a value made by `.map` needs Python".to_owned()),
        }
    }

    fn is_literal(&self) -> bool {
        match self {
            Self::Literal { .. } | Self::LiteralPair { .. } => true,
            Self::Wanted { .. } | Self::Found { .. } | Self::FoundPair { .. } => false,
            Self::Zip { pieces, .. } => pieces.iter().flatten().all(Self::is_literal),
            Self::Concat { piece, .. } | Self::Map { piece } => piece.is_literal(),
        }
    }
}

/// How many instances a value can be expanded into; `None` when it is neither a list nor a dict.
pub fn length_of(value: &Value) -> Option<u32> {
    let length = match value {
        Value::Array(list) => list.len(),
        Value::Object(entries) => entries.len(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => return None,
    };
    Some(u32::try_from(length).unwrap_or(u32::MAX))
}

/// One element of a value by its place.
pub fn element_of(value: &Value, index: u32) -> Option<Piece> {
    match value {
        Value::Array(list) => list.get(index as usize).cloned().map(|value| Piece::Found { value }),
        Value::Object(entries) => {
            let (key, value) = entries.iter().nth(index as usize)?;
            Some(Piece::FoundPair { key: key.clone(), value: value.clone() })
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn list(values: Value) -> Source {
        let Value::Array(values) = values else { panic!("a list") };
        Source::List { values }
    }

    fn product(arguments: Vec<(&str, Source)>) -> Expand {
        let argument = |(name, source): (&str, Source)| Argument { name: name.to_owned(), source };
        Expand::Product { arguments: arguments.into_iter().map(argument).collect() }
    }

    fn none(_: &TaskId, _: &str) -> u32 {
        0
    }

    /// What every instance gets, as plain values.
    fn all(expand: &Expand) -> Vec<Value> {
        let length = expand.length(&none).expect("a length");
        assert_eq!(expand.pick(length, &none), None, "nothing beyond the end");
        let one = |index| {
            let given = expand.pick(index, &none).expect("a piece").given().expect("plain values");
            Value::Object(given.into_iter().map(|given| (given.name, given.value)).collect())
        };
        (0..length).map(one).collect()
    }

    #[test]
    fn of_two_arguments_the_last_one_varies_fastest() {
        let expand = product(vec![("a", list(json!([1, 2]))), ("b", list(json!(["x", "y", "z"])))]);
        let expected = [(1, "x"), (1, "y"), (1, "z"), (2, "x"), (2, "y"), (2, "z")];
        assert_eq!(all(&expand), expected.map(|(a, b)| json!({"a": a, "b": b})));
        assert!(all(&product(vec![("a", list(json!([1]))), ("b", list(json!([])))])).is_empty());
    }

    #[test]
    fn a_dict_gives_its_entries_in_their_order() {
        let Value::Object(entries) = json!({"z": 1, "a": 2}) else { panic!("a dict") };
        let expand = product(vec![("pair", Source::Dict { entries })]);
        assert_eq!(all(&expand), [json!({"pair": ["z", 1]}), json!({"pair": ["a", 2]})]);
    }

    #[test]
    fn zip_ends_with_the_shortest_unless_it_can_fill_in_and_concat_goes_on() {
        let sources = || vec![list(json!([1, 2])), list(json!(["a", "b", "c"]))];
        let zip = |fill| all(&product(vec![("v", Source::Zip { sources: sources(), fill })]));
        assert_eq!(zip(None), [json!({"v": [1, "a"]}), json!({"v": [2, "b"]})]);
        assert_eq!(zip(Some(json!(0))).last(), Some(&json!({"v": [0, "c"]})));
        let concat = all(&product(vec![("v", Source::Concat { sources: sources() })]));
        assert_eq!(concat, [1.into(), 2.into(), json!("a"), json!("b"), json!("c")].map(|v: Value| json!({"v": v})));
    }

    #[test]
    fn expand_kwargs_takes_one_mapping_for_each_instance() {
        let expand = Expand::Kwargs { source: list(json!([{"a": 1, "b": 2}, {"a": 3}])) };
        assert_eq!(all(&expand), [json!({"a": 1, "b": 2}), json!({"a": 3})]);
        let wrong = Expand::Kwargs { source: list(json!([7])) }.pick(0, &none).expect("a piece");
        assert!(wrong.given().expect_err("no mapping").contains("to be a mapping, got: 7"));
    }

    #[test]
    fn what_tasks_left_is_named_and_looked_up_by_whoever_runs_the_instance() {
        let source = Source::XCom { task_id: TaskId::new("t").expect("an id"), key: "return_value".to_owned() };
        let expand = product(vec![("v", source)]);
        let mut pieces = expand.pick(1, &|_, _| 2).expect("a piece");
        assert!(pieces.given().is_err());
        let look_up = |piece: &mut Piece| -> Result<(), ()> {
            let Piece::Wanted { index, .. } = piece else { return Err(()) };
            *piece = element_of(&json!({"a": 1, "b": 2}), *index).ok_or(())?;
            Ok(())
        };
        pieces.each_mut(look_up).expect("found");
        let given = pieces.given().expect("values");
        assert_eq!(given, [Given { name: "v".to_owned(), value: json!(["b", 2]), is_literal: false }]);
    }

    #[test]
    fn a_product_beyond_all_counting_has_no_length() {
        let many = |_: &TaskId, _: &str| u32::MAX;
        let source = || Source::XCom { task_id: TaskId::new("t").expect("an id"), key: "k".to_owned() };
        assert_eq!(product(vec![("a", source()), ("b", source())]).length(&many), None);
    }
}
