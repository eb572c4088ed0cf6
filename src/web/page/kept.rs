//! What need not be worked out again for every look: compiled DAGs and the layouts of their graphs. Both are named by
//! the hash of the definition, so nothing here can ever be out of date; what has not been wanted for long goes.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use crate::domain::graph::Dag;
use crate::domain::ids::{DagId, VersionNumber};
use crate::web::error::Error;
use crate::web::state::Web;
use crate::web::view::graph::Sketch;

/// So many of each are kept.
const MOST: usize = 64;

type SketchKey = (String, BTreeSet<String>);

static DAGS: LazyLock<Kept<String, Dag>> = LazyLock::new(Kept::default);
static SKETCHES: LazyLock<Kept<SketchKey, Sketch>> = LazyLock::new(Kept::default);

/// A version of a DAG, compiled.
pub(super) async fn dag(web: &Web, id: &DagId, version: VersionNumber) -> Result<Arc<Dag>, Error> {
    let gone = || Error::NotFound(format!("version {version} of DAG `{id}` is not there any more"));
    let hash = web.store.version_hash(id, version).await?.ok_or_else(gone)?;
    if let Some(known) = DAGS.get(&hash) {
        return Ok(known);
    }
    let row = web.store.version(id, Some(version)).await?.ok_or_else(gone)?;
    let dag = actix_web::web::block(move || Dag::compile(row.definition)).await;
    let dag = dag.map_err(|error| Error::Internal(error.to_string()))?;
    let dag = dag.map_err(|error| Error::Internal(format!("version {version} of DAG `{id}`: {error}")))?;
    Ok(DAGS.keep(hash, Arc::new(dag)))
}

/// The graph of a DAG, laid out.
pub(super) async fn sketch(dag: &Arc<Dag>, folded: &BTreeSet<String>) -> Result<Arc<Sketch>, Error> {
    let key = (dag.hash.clone(), folded.clone());
    if let Some(known) = SKETCHES.get(&key) {
        return Ok(known);
    }
    let (dag, folded) = (Arc::clone(dag), folded.clone());
    let sketch = actix_web::web::block(move || Sketch::of(&dag, &folded)).await;
    let sketch = sketch.map_err(|error| Error::Internal(error.to_string()))?;
    Ok(SKETCHES.keep(key, Arc::new(sketch)))
}

/// The newest of what was made.
struct Kept<K, V>(Mutex<Shelf<K, V>>);

struct Shelf<K, V> {
    /// Counts the looks.
    clock: u64,
    values: HashMap<K, Wanted<V>>,
}

struct Wanted<V> {
    /// The look in which it was last wanted.
    last: u64,
    value: Arc<V>,
}

impl<K, V> Default for Kept<K, V> {
    fn default() -> Self {
        Self(Mutex::new(Shelf { clock: 0, values: HashMap::new() }))
    }
}

impl<K: Hash + Eq + Clone, V> Kept<K, V> {
    fn shelf(&self) -> MutexGuard<'_, Shelf<K, V>> {
        let mut shelf = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        shelf.clock += 1;
        shelf
    }

    fn get(&self, key: &K) -> Option<Arc<V>> {
        let mut shelf = self.shelf();
        let now = shelf.clock;
        let found = shelf.values.get_mut(key)?;
        found.last = now;
        Some(Arc::clone(&found.value))
    }

    fn keep(&self, key: K, value: Arc<V>) -> Arc<V> {
        let mut shelf = self.shelf();
        let last = shelf.clock;
        shelf.values.insert(key, Wanted { last, value: Arc::clone(&value) });
        if shelf.values.len() > MOST {
            let oldest = shelf.values.iter().min_by_key(|(_, wanted)| wanted.last).map(|(key, _)| key.clone());
            oldest.and_then(|key| shelf.values.remove(&key));
        }
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_not_been_wanted_for_longest_goes() {
        let kept: Kept<usize, usize> = Kept::default();
        for n in 0..MOST {
            kept.keep(n, Arc::new(n));
        }
        assert!(kept.get(&0).is_some(), "wanted again");
        kept.keep(MOST, Arc::new(MOST));
        assert_eq!((kept.get(&0).is_some(), kept.get(&1).is_some()), (true, false));
    }
}
