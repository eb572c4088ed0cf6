//! What is wrong with DAG files now.

use sea_orm::{EntityTrait, QueryOrder};

use crate::domain::problem::Problem;
use crate::domain::time::Time;
use crate::store::convert::{Reading, Unreadable};
use crate::store::entity::import_error;
use crate::store::error::StoreError;
use crate::store::open::Store;

/// One problem of one DAG file.
#[derive(Clone, Debug, PartialEq)]
pub struct ImportError {
    /// The DAG file that was read; the problem's place may be another file.
    pub file: String,
    pub problem: Problem,
    pub at: Time,
}

impl TryFrom<import_error::Model> for ImportError {
    type Error = Unreadable;

    fn try_from(model: import_error::Model) -> Result<Self, Unreadable> {
        let at = Reading::new("import_error", &model.id).time(model.at)?;
        Ok(Self { file: model.file.clone(), problem: model.try_into()?, at })
    }
}

impl Store {
    /// All problems, by file, in the order in which they were found.
    pub async fn import_errors(&self) -> Result<Vec<ImportError>, StoreError> {
        let query = import_error::Entity::find()
            .order_by_asc(import_error::Column::File)
            .order_by_asc(import_error::Column::Id);
        self.read_all(query.all(&self.read).await)
    }
}
