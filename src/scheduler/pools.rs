//! Pools of slots, as users set and delete them.

use crate::domain::ids::PoolName;
use crate::domain::problem::suggestion;
use crate::protocol::control::{Pool, Refused, Reply};
use crate::store::write::{PoolRow, Write};

use super::core::Core;

impl Core {
    /// Takes effect at once: more slots wake who waits for them, fewer let those who hold one go on.
    pub(super) fn change_pool(&mut self, pool: Pool) -> Result<Reply, Refused> {
        let Pool { name, slots, description, include_deferred } = pool;
        if slots < -1 {
            let message = format!("expected pool `{name}` to have -1 (no limit) or more slots, got: {slots}");
            return Err(Refused::Invalid { message });
        }
        let row = PoolRow { name: name.clone(), slots, description, include_deferred };
        self.write(Write::Pool(row.clone()));
        self.set_pool(row);
        Ok(Reply::PoolSet { pool: name })
    }

    /// Who holds a slot goes on; who waits for one waits until there is such a pool again.
    pub(super) fn delete_pool(&mut self, pool: PoolName) -> Result<Reply, Refused> {
        if pool == PoolName::default_pool() {
            return Err(Refused::DefaultPool { pool });
        }
        if self.pools.remove(&pool).is_none() {
            let hint = suggestion(pool.as_str(), self.pools.keys().map(PoolName::as_str));
            return Err(Refused::PoolNotFound { pool, hint });
        }
        self.admission.set_pool(pool.clone(), None, false);
        self.write(Write::DeletePool(pool.clone()));
        Ok(Reply::PoolDeleted { pool })
    }
}
