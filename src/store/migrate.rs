//! Applies and undoes migrations as the owner role, and reports where a database stands.

use sqlx::migrate::{Migrate, MigrateError, Migrator};
use sqlx::{ConnectOptions, Connection, PgConnection};

use super::Store;
use super::config::As;
use super::error::StoreError;
use super::model::{MigrationStatus, Status};

static MIGRATIONS: Migrator = sqlx::migrate!("./migrations");
/// Lies in our schema: one schema holds all that is ours.
const TABLE: &str = "praetor.migrations";

impl Store {
    /// Applies all pending migrations and returns how many there were. Creates roles and schema where missing, which
    /// on a server of your own takes a user who may create roles and schemas.
    pub async fn migrate(&self) -> Result<usize, StoreError> {
        self.bootstrap().await?;
        let mut connection = self.owner().await?;
        let before = applied(&mut connection).await?.len();
        migrator().run_direct(None, &mut connection, false).await.map_err(StoreError::migration)?;
        let after = applied(&mut connection).await?.len();
        // The lock of a failed migration goes with its connection; a good one is closed in peace.
        connection.close().await.map_err(StoreError::query("close"))?;
        self.migrate_jobs().await?;
        Ok(after.saturating_sub(before))
    }

    /// Undoes migrations down to `version` (0: all of them) with everything recorded in their tables.
    pub async fn undo(&self, version: i64) -> Result<(), StoreError> {
        let mut connection = self.owner().await?;
        migrator().undo(&mut connection, version).await.map_err(StoreError::migration)?;
        connection.close().await.map_err(StoreError::query("close"))
    }

    /// Server, address and migrations.
    pub async fn status(&self) -> Result<Status, StoreError> {
        let mut connection = self.connect(As::Itself).await?;
        let server_version = sqlx::query_scalar!(r#"SELECT current_setting('server_version') AS "version!""#)
            .fetch_one(&mut connection)
            .await
            .map_err(StoreError::query("ask for the version"))?;
        let applied = applied(&mut connection).await?;
        connection.close().await.map_err(StoreError::query("close"))?;
        let migrations = MIGRATIONS
            .iter()
            .filter(|migration| migration.migration_type.is_up_migration())
            .map(|migration| MigrationStatus {
                version: migration.version,
                name: migration.description.to_string(),
                applied: applied.contains(&migration.version),
            })
            .collect();
        Ok(Status {
            // "15.6 (Debian 15.6-0+deb12u1)"
            server_version: server_version.split_whitespace().next().unwrap_or_default().to_owned(),
            url: self.url(),
            cluster: self.cluster.as_ref().map(|cluster| cluster.data().to_owned()),
            migrations,
        })
    }

    async fn bootstrap(&self) -> Result<(), StoreError> {
        let mut connection = self.connect(As::Itself).await?;
        sqlx::raw_sql(include_str!("bootstrap.sql"))
            .execute(&mut connection)
            .await
            .map_err(StoreError::query("create roles and schema"))?;
        connection.close().await.map_err(StoreError::query("close"))
    }

    async fn owner(&self) -> Result<PgConnection, StoreError> {
        self.connect(As::Owner).await
    }

    pub(super) async fn connect(&self, role: As) -> Result<PgConnection, StoreError> {
        let options = self.address.options(role);
        options.connect().await.map_err(|error| self.connect_error(error))
    }
}

/// The versions a database has. A missing or closed schema is one without any.
async fn applied(connection: &mut PgConnection) -> Result<Vec<i64>, StoreError> {
    match connection.list_applied_migrations(TABLE).await {
        Ok(list) => Ok(list.into_iter().map(|migration| migration.version).collect()),
        Err(MigrateError::Execute(error)) => match StoreError::query("list migrations")(error) {
            StoreError::NotMigrated { .. } | StoreError::Privilege { .. } => Ok(Vec::new()),
            other => Err(other),
        },
        Err(error) => Err(StoreError::migration(error)),
    }
}

fn migrator() -> Migrator {
    Migrator { migrations: MIGRATIONS.migrations.clone(), table_name: TABLE.into(), ..Migrator::DEFAULT }
}
