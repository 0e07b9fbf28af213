//! What a run keeps, and where: queues and pushes in one SQLite file, the tables in another, or all of it in memory; and the lock
//! that gives a data folder to one process at a time. It knows nothing of what the rows mean.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::path::Path;

use aws::Tables;
use rusqlite::Connection;

use crate::dynamo::Database;
use crate::error::LocalError;
use crate::pushes;
use crate::sqs::{Clock, Spec, records};
use crate::worker::Worker;

/// The files within the data folder.
const LOCK: &str = "lock";
const QUEUES: &str = "queues.sqlite";
const TABLES: &str = "tables.sqlite";

/// Makes the data folder, or one in it, for its owner alone, since bodies lie there. A folder that exists keeps its mode.
///
/// # Errors
/// When the system refuses.
pub fn make_folder(data: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(data)
}

/// Takes the data folder for this process, until the file is dropped. The kernel gives it back when a process is killed.
///
/// # Errors
/// [`LocalError::Locked`] when another process has it, [`LocalError::Folder`] when it cannot be used at all.
pub(crate) fn lock(data: &Path) -> Result<File, LocalError> {
    let folder = |source| LocalError::Folder { folder: data.to_owned(), source };
    make_folder(data).map_err(folder)?;
    let file = OpenOptions::new().write(true).create(true).truncate(false).open(data.join(LOCK)).map_err(folder)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(LocalError::Locked { folder: data.to_owned() }),
        Err(TryLockError::Error(source)) => Err(folder(source)),
    }
}

/// Opens the queues, or makes them, in a folder or in memory. What was in hand when the last process ended is visible again.
///
/// # Errors
/// [`LocalError::Storage`] when the file cannot be used.
pub(crate) fn queues(data: Option<&Path>, specs: &[&Spec], clock: &Clock) -> Result<Worker<Connection>, LocalError> {
    let file = data.map(|data| data.join(QUEUES));
    let open = || -> Result<Connection, rusqlite::Error> {
        let store = records::open(file.as_deref())?;
        pushes::prepare(&store)?;
        records::release(&store, clock.now())?;
        for spec in specs {
            records::expire(&store, spec, clock.now())?;
        }
        Ok(store)
    };
    let failed = |cause: String| storage("queues", data, cause);
    let store = open().map_err(|error| failed(error.to_string()))?;
    Worker::start("queues", store).map_err(|error| failed(error.to_string()))
}

/// Opens the tables, or makes them, in a folder or in memory.
///
/// # Errors
/// [`LocalError::Storage`] when the file cannot be used.
pub(crate) async fn tables(data: Option<&Path>, names: &Tables) -> Result<(Database, aws::dynamo::Client), LocalError> {
    let failed = |cause: String| storage("tables", data, cause);
    let file = data.map(|data| data.join(TABLES));
    let database = match &file {
        Some(file) => Database::new(file),
        None => Database::memory(),
    };
    let database = database.map_err(failed)?;
    let client = aws::dynamo::client(database.clone());
    aws::tables::create(&client, names).await.map_err(|failure| failed(failure.to_string()))?;
    Ok((database, client))
}

fn storage(what: &'static str, data: Option<&Path>, cause: String) -> LocalError {
    LocalError::Storage { what, folder: data.unwrap_or(Path::new("memory")).to_owned(), cause }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_one_process_at_a_time() {
        let folder = tempfile::tempdir().expect("a folder");
        let first = lock(folder.path()).expect("free");
        let error = lock(folder.path()).expect_err("taken");
        assert!(error.to_string().contains(&folder.path().display().to_string()), "{error}");
        drop(first);
        lock(folder.path()).expect("free again");
    }
    #[cfg(unix)]
    #[test]
    fn a_new_folder_is_its_owners_alone_and_an_existing_one_stays_as_it_is() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().expect("a folder");
        let data = folder.path().join("new/data");
        let mode = || std::fs::metadata(&data).expect("a folder").permissions().mode() & 0o777;
        drop(lock(&data).expect("free"));
        assert_eq!(mode(), 0o700);
        std::fs::set_permissions(&data, std::fs::Permissions::from_mode(0o750)).expect("a mode");
        drop(lock(&data).expect("free"));
        assert_eq!(mode(), 0o750);
    }
}
