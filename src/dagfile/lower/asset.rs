//! Assets as written, checked and known by their names: one value for each, however often it is mentioned.

use std::collections::BTreeMap;

use crate::dagfile::written::{AssetMapping, Assets, At, Condition, Position};
use crate::domain::asset::{Asset, AssetCondition, AssetRef, DEFAULT_GROUP, normalized_uri};
use crate::domain::ids::AssetName;

use super::Notes;

/// The assets that a DAG speaks of.
#[derive(Default)]
pub(super) struct Known(BTreeMap<AssetName, Asset>);

impl Known {
    pub fn into_assets(self) -> Vec<Asset> {
        self.0.into_values().collect()
    }

    /// What a task is linked to; each once.
    pub fn links(&mut self, written: Option<&Assets>, notes: &mut Notes) -> Vec<AssetRef> {
        let mut links = Vec::new();
        for At { value, position } in written.into_iter().flat_map(|assets| &assets.0) {
            if let Some(link) = self.one(value, *position, notes).filter(|link| !links.contains(link)) {
                links.push(link);
            }
        }
        links
    }

    pub fn condition(
        &mut self,
        written: &Condition,
        position: Option<Position>,
        notes: &mut Notes,
    ) -> Option<AssetCondition> {
        let mut parts = |written: &[Condition], notes: &mut Notes| {
            if written.is_empty() {
                notes.error(position, "a schedule on assets needs at least one asset");
            }
            written.iter().map(|part| self.condition(part, position, notes)).collect::<Option<Vec<_>>>()
        };
        match written {
            Condition::One(asset) => self.one(asset, position, notes).map(AssetCondition::One),
            Condition::All(written) => parts(written, notes).map(AssetCondition::All),
            Condition::Any(written) => parts(written, notes).map(AssetCondition::Any),
        }
    }

    fn one(&mut self, written: &AssetMapping, position: Option<Position>, notes: &mut Notes) -> Option<AssetRef> {
        let AssetMapping { name, uri, group, extra, alias } = written;
        let named = |text: &str, notes: &mut Notes| match AssetName::new(text) {
            Ok(name) if !name.as_str().trim().is_empty() => Some(name),
            Ok(_) => {
                notes.error(position, "the name of an asset cannot be of spaces alone");
                None
            }
            Err(invalid) => {
                notes.error(position, invalid.to_string());
                None
            }
        };
        if let Some(alias) = alias {
            if name.is_some() || uri.is_some() || !extra.is_empty() {
                notes.error(position, format!("the alias `{alias}` cannot have a name, a URI or an extra of its own"));
            }
            return named(alias, notes).map(AssetRef::Alias);
        }
        let Some(text) = uri.as_ref().or(name.as_ref()) else {
            notes.error(position, "an asset needs a `name` or a `uri`");
            return None;
        };
        let uri = match normalized_uri(text) {
            Ok((uri, had_login)) => {
                if had_login {
                    let message = format!("the login in the URI of the asset `{uri}` was left out");
                    notes.warning(position, message);
                }
                uri
            }
            Err(invalid) => {
                notes.error(position, invalid.to_string());
                return None;
            }
        };
        // As in Airflow, the name is the URI as it was written.
        let name = named(name.as_deref().unwrap_or(text), notes)?;
        let group = group.clone().unwrap_or_else(|| DEFAULT_GROUP.to_owned());
        self.add(Asset { name: name.clone(), uri, group, extra: extra.clone() }, position, notes);
        Some(AssetRef::Asset(name))
    }

    /// Mentioned twice is meant once: whoever says more than the name is believed.
    fn add(&mut self, asset: Asset, position: Option<Position>, notes: &mut Notes) {
        let Some(known) = self.0.get_mut(&asset.name) else {
            self.0.insert(asset.name.clone(), asset);
            return;
        };
        if known.is_bare() {
            *known = asset;
        } else if !asset.is_bare() && asset.uri != known.uri {
            let (name, here, there) = (&asset.name, &asset.uri, &known.uri);
            notes.error(position, format!("the asset `{name}` has the URI `{here}` here and `{there}` elsewhere"));
        }
    }
}
