//! The one table of rights: what the least role is that may do an action to a resource. Its model are the roles that
//! Airflow's FAB auth manager comes with.

use super::role::Role;

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    Create,
    Read,
    Edit,
    Delete,
}

impl Action {
    pub const ALL: [Self; 4] = [Self::Create, Self::Read, Self::Edit, Self::Delete];

    /// Airflow's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "can_create",
            Self::Read => "can_read",
            Self::Edit => "can_edit",
            Self::Delete => "can_delete",
        }
    }
}

/// To what it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Resource {
    Dag,
    DagCode,
    DagRun,
    TaskInstance,
    TaskLog,
    XCom,
    Asset,
    Backfill,
    ImportError,
    DagWarning,
    Pool,
    Variable,
    Connection,
    Configuration,
    /// Who did what.
    AuditLog,
    Job,
    Plugin,
    Provider,
    /// Workers and queues, which Airflow leaves to Flower.
    Worker,
    /// The numbers of the whole: header, metrics.
    Cluster,
    /// The pages themselves.
    Website,
    /// All users and their roles.
    User,
    /// The caller's own password and tokens.
    MyProfile,
}

impl Resource {
    pub const ALL: [Self; 23] = [
        Self::Dag,
        Self::DagCode,
        Self::DagRun,
        Self::TaskInstance,
        Self::TaskLog,
        Self::XCom,
        Self::Asset,
        Self::Backfill,
        Self::ImportError,
        Self::DagWarning,
        Self::Pool,
        Self::Variable,
        Self::Connection,
        Self::Configuration,
        Self::AuditLog,
        Self::Job,
        Self::Plugin,
        Self::Provider,
        Self::Worker,
        Self::Cluster,
        Self::Website,
        Self::User,
        Self::MyProfile,
    ];

    /// Airflow's word, where it has the thing.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Dag => "DAGs",
            Self::DagCode => "DAG Code",
            Self::DagRun => "DAG Runs",
            Self::TaskInstance => "Task Instances",
            Self::TaskLog => "Task Logs",
            Self::XCom => "XComs",
            Self::Asset => "Assets",
            Self::Backfill => "Backfills",
            Self::ImportError => "ImportError",
            Self::DagWarning => "DAG Warnings",
            Self::Pool => "Pools",
            Self::Variable => "Variables",
            Self::Connection => "Connections",
            Self::Configuration => "Configurations",
            Self::AuditLog => "Audit Logs",
            Self::Job => "Jobs",
            Self::Plugin => "Plugins",
            Self::Provider => "Providers",
            Self::Worker => "Workers",
            Self::Cluster => "Cluster Activity",
            Self::Website => "Website",
            Self::User => "Users",
            Self::MyProfile => "My Profile",
        }
    }
}

/// Whether somebody with this role may do it.
pub fn may(role: Role, action: Action, resource: Resource) -> bool {
    role >= least(action, resource)
}

/// The least role that may do it. What nobody could mean (to create a job) is left to administrators.
fn least(action: Action, resource: Resource) -> Role {
    use Action::{Create, Delete, Edit, Read};
    match resource {
        Resource::Dag => match action {
            Read => Role::Viewer,
            Edit | Delete => Role::User,
            Create => Role::Admin,
        },
        Resource::DagRun | Resource::TaskInstance | Resource::Backfill => match action {
            Read => Role::Viewer,
            Create | Edit | Delete => Role::User,
        },
        // Airflow lets a user say that an asset was made, and clear what waits for one.
        Resource::Asset => match action {
            Read => Role::Viewer,
            Create | Delete => Role::User,
            Edit => Role::Admin,
        },
        Resource::XCom => match action {
            Read => Role::Viewer,
            Create | Edit | Delete => Role::Op,
        },
        Resource::Pool | Resource::Worker => match action {
            Read => Role::Viewer,
            Create | Edit | Delete => Role::Op,
        },
        // Reading a variable or a connection is reading what may be a secret.
        Resource::Variable | Resource::Connection => Role::Op,
        Resource::Configuration | Resource::Provider => match action {
            Read => Role::Op,
            Create | Edit | Delete => Role::Admin,
        },
        Resource::DagCode
        | Resource::TaskLog
        | Resource::ImportError
        | Resource::DagWarning
        | Resource::AuditLog
        | Resource::Job
        | Resource::Plugin
        | Resource::Cluster
        | Resource::Website => match action {
            Read => Role::Viewer,
            Create | Edit | Delete => Role::Admin,
        },
        Resource::MyProfile => Role::Viewer,
        Resource::User => Role::Admin,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_public_may_nothing_and_an_administrator_everything() {
        for resource in Resource::ALL {
            for action in Action::ALL {
                assert!(!may(Role::Public, action, resource), "{action:?} {resource:?}");
                assert!(may(Role::Admin, action, resource), "{action:?} {resource:?}");
            }
        }
    }

    #[test]
    fn a_viewer_changes_nothing_but_their_own_profile() {
        for resource in Resource::ALL.into_iter().filter(|resource| *resource != Resource::MyProfile) {
            for action in [Action::Create, Action::Edit, Action::Delete] {
                assert!(!may(Role::Viewer, action, resource), "{action:?} {resource:?}");
            }
        }
    }

    #[test]
    fn the_borders_are_where_airflow_has_them() {
        use Action::{Create, Delete, Edit, Read};
        for (least, action, resource) in [
            (Role::Viewer, Read, Resource::Dag),
            (Role::Viewer, Read, Resource::TaskLog),
            (Role::Viewer, Read, Resource::AuditLog),
            (Role::Viewer, Read, Resource::Pool),
            (Role::User, Create, Resource::DagRun),
            (Role::User, Edit, Resource::TaskInstance),
            (Role::User, Delete, Resource::Dag),
            (Role::Op, Read, Resource::Variable),
            (Role::Op, Read, Resource::Connection),
            (Role::Op, Read, Resource::Configuration),
            (Role::Op, Edit, Resource::Pool),
            (Role::Op, Delete, Resource::XCom),
            (Role::Admin, Read, Resource::User),
        ] {
            for role in Role::ALL {
                assert_eq!(may(role, action, resource), role >= least, "{role} {action:?} {resource:?}");
            }
        }
    }
}
