//! What a run keeps, and where: queues and pushes in one SQLite file, the tables in another, or all of it in memory; keys in small
//! files of their own; and the lock that gives a data folder to one process at a time. It knows nothing of what rows and files mean.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

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

/// Reads a file of the data folder. If there is none, what `make` says is it from now on, for its owner alone. Of several processes
/// that do so at once, all get the same.
///
/// # Errors
/// [`LocalError::Folder`] when the folder cannot be written or read, and whatever `make` answers.
pub(crate) fn read_or_publish(
    data: &Path,
    name: &str,
    make: impl FnOnce() -> Result<String, LocalError>,
) -> Result<Vec<u8>, LocalError> {
    let folder = |source| LocalError::Folder { folder: data.to_owned(), source };
    let path = data.join(name);
    if !path.try_exists().map_err(folder)? {
        publish(data, name, &make()?).map_err(folder)?;
    }
    fs::read(path).map_err(folder)
}

/// Writes a file of the data folder, for its owner alone, in place of the one that may be there. Whoever reads it meanwhile gets
/// either as a whole.
///
/// # Errors
/// [`LocalError::Folder`] when the folder cannot be written.
pub(crate) fn replace(data: &Path, name: &str, text: &str) -> Result<(), LocalError> {
    let replaced = draft(data, name, text).and_then(|draft| fs::rename(draft, data.join(name)));
    replaced.map_err(|source| LocalError::Folder { folder: data.to_owned(), source })
}

/// Links a draft to its own name, which fails if somebody was first; then theirs counts.
fn publish(data: &Path, name: &str, text: &str) -> io::Result<()> {
    let draft = draft(data, name, text)?;
    let linked = fs::hard_link(&draft, data.join(name));
    let removed = fs::remove_file(&draft);
    match linked {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => removed,
    }
}

/// Writes the whole file under a name that nobody else has, so that it is never there in part under its own.
fn draft(data: &Path, name: &str, text: &str) -> io::Result<PathBuf> {
    let path = data.join(format!(".{name}.{:032x}", fastrand::u128(..)));
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let write = || -> io::Result<()> {
        let mut file = options.open(&path)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()
    };
    if let Err(error) = write() {
        // Why it was not written counts, and not whether it went.
        let _ = fs::remove_file(&path);
        return Err(error);
    }
    Ok(path)
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
        let mode = || fs::metadata(&data).expect("a folder").permissions().mode() & 0o777;
        drop(lock(&data).expect("free"));
        assert_eq!(mode(), 0o700);
        fs::set_permissions(&data, fs::Permissions::from_mode(0o750)).expect("a mode");
        drop(lock(&data).expect("free"));
        assert_eq!(mode(), 0o750);
    }
}
