//! Where the bytes of attachments lie: a file each in the data folder, or memory. A file is there as a whole or not at all, and is never
//! changed. It knows ids and sizes, and neither types nor who asks.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::body::{Body, BodyDataStream, Bytes};
use futures::{Stream, StreamExt, stream};
use protocol::{AttachmentId, Timestamp};
use tokio::fs::{File, OpenOptions};
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::error::LocalError;
use crate::storage;

/// The folder within the data folder.
const FOLDER: &str = "attachments";

/// What the names of files begin with that are being written. No id does.
const DRAFT: &str = ".";

/// How much of a file is read at a time, in bytes.
const CHUNK_BYTES: usize = 64 * 1024;

/// The files. Clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct FileStore(Place);

#[derive(Clone, Debug)]
enum Place {
    Folder(Arc<Path>),
    Memory(Arc<Mutex<BTreeMap<AttachmentId, InMemory>>>),
}

#[derive(Clone, Debug)]
struct InMemory {
    bytes: Bytes,
    put_at: Timestamp,
}

/// Why nothing was put.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotPut {
    /// There is one, and it stays as it is.
    #[error("it was uploaded before")]
    Exists,
    /// What came is longer or shorter, or stopped coming.
    #[error("what was sent has not the size that was signed")]
    OtherSize,
    /// The system refuses.
    #[error("the file cannot be written")]
    Failed(#[from] io::Error),
}

/// A file that is being written. When it is dropped, for whatever reason, nothing of it is left under this name.
struct Draft(PathBuf);

impl Drop for Draft {
    fn drop(&mut self) {
        // What is left all the same goes at the next start.
        let _ = fs::remove_file(&self.0);
    }
}

impl FileStore {
    /// Files in a data folder, which is this process's own, or in memory. What was being written when the last process ended is gone.
    ///
    /// # Errors
    /// [`LocalError::Folder`] when the folder cannot be used.
    pub(crate) fn open(data: Option<&Path>) -> Result<Self, LocalError> {
        let Some(data) = data else { return Ok(Self(Place::Memory(Arc::default()))) };
        let folder = data.join(FOLDER);
        let prepare = || -> io::Result<()> {
            storage::make_folder(&folder)?;
            for entry in fs::read_dir(&folder)? {
                let entry = entry?;
                if entry.file_name().to_string_lossy().starts_with(DRAFT) {
                    fs::remove_file(entry.path())?;
                }
            }
            Ok(())
        };
        prepare().map_err(|source| LocalError::Folder { folder: folder.clone(), source })?;
        Ok(Self(Place::Folder(folder.into())))
    }

    /// Puts what `body` has, which must be `size` bytes. After an answer the file outlives the process.
    pub(crate) async fn put(&self, id: AttachmentId, size: u64, body: Body, now: Timestamp) -> Result<(), NotPut> {
        let chunks = body.into_data_stream();
        match &self.0 {
            Place::Folder(folder) => put_into(folder, id, size, chunks).await,
            Place::Memory(files) => {
                if lock(files).contains_key(&id) {
                    return Err(NotPut::Exists);
                }
                let mut bytes: Vec<u8> = Vec::new();
                copy(size, chunks, &mut bytes).await?;
                let file = InMemory { bytes: bytes.into(), put_at: now };
                match lock(files).entry(id) {
                    std::collections::btree_map::Entry::Vacant(slot) => drop(slot.insert(file)),
                    std::collections::btree_map::Entry::Occupied(_) => return Err(NotPut::Exists),
                }
                Ok(())
            }
        }
    }

    /// What was put; `None` if nothing was.
    ///
    /// # Errors
    /// When the system refuses.
    pub(crate) async fn get(&self, id: AttachmentId) -> io::Result<Option<Body>> {
        match &self.0 {
            Place::Folder(folder) => match File::open(folder.join(id.to_string())).await {
                Ok(file) => Ok(Some(Body::from_stream(chunks_of(file)))),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                Err(error) => Err(error),
            },
            Place::Memory(files) => Ok(lock(files).get(&id).map(|file| Body::from(file.bytes.clone()))),
        }
    }

    /// Deletes what was put longer ago than `lifetime`. Answers how many files that were.
    ///
    /// # Errors
    /// When the system refuses; what was deleted before stays deleted.
    pub(crate) fn expire(&self, lifetime: Duration, now: Timestamp) -> io::Result<usize> {
        let is_over = |put_at: Timestamp| now.since(put_at) >= lifetime;
        match &self.0 {
            Place::Folder(folder) => {
                let mut expired = 0;
                for entry in fs::read_dir(folder)? {
                    let entry = entry?;
                    let is_draft = entry.file_name().to_string_lossy().starts_with(DRAFT);
                    if !is_draft && is_over(timestamp(entry.metadata()?.modified()?)) {
                        fs::remove_file(entry.path())?;
                        expired += 1;
                    }
                }
                Ok(expired)
            }
            Place::Memory(files) => {
                let mut files = lock(files);
                let before = files.len();
                files.retain(|_, file| !is_over(file.put_at));
                Ok(before - files.len())
            }
        }
    }
}

fn lock(files: &Mutex<BTreeMap<AttachmentId, InMemory>>) -> MutexGuard<'_, BTreeMap<AttachmentId, InMemory>> {
    files.lock().unwrap_or_else(PoisonError::into_inner)
}

fn timestamp(time: SystemTime) -> Timestamp {
    Timestamp::default().plus(time.duration_since(UNIX_EPOCH).unwrap_or_default())
}

/// Writes under another name and links that to the file's own, which fails if there is one.
async fn put_into(folder: &Path, id: AttachmentId, size: u64, chunks: BodyDataStream) -> Result<(), NotPut> {
    let path = folder.join(id.to_string());
    if tokio::fs::try_exists(&path).await? {
        return Err(NotPut::Exists);
    }
    let draft = Draft(folder.join(format!("{DRAFT}{id}.{:032x}", fastrand::u128(..))));
    let mut file = OpenOptions::new().write(true).create_new(true).open(&draft.0).await?;
    copy(size, chunks, &mut file).await?;
    file.sync_all().await?;
    match tokio::fs::hard_link(&draft.0, &path).await {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(NotPut::Exists),
        linked => Ok(linked?),
    }
}

/// Writes all chunks, unless they are more or less than `size` bytes. Nothing beyond that is written.
async fn copy(size: u64, mut chunks: BodyDataStream, to: &mut (impl AsyncWrite + Unpin)) -> Result<(), NotPut> {
    let mut left = size;
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| NotPut::OtherSize)?;
        let bytes = u64::try_from(chunk.len()).map_err(|_| NotPut::OtherSize)?;
        left = left.checked_sub(bytes).ok_or(NotPut::OtherSize)?;
        to.write_all(&chunk).await?;
    }
    // A file is written in the background. What became of the last bytes only a flush says: to sync them does not.
    to.flush().await?;
    if left == 0 { Ok(()) } else { Err(NotPut::OtherSize) }
}

fn chunks_of(file: File) -> impl Stream<Item = io::Result<Vec<u8>>> {
    stream::try_unfold(file, async |mut file| {
        let mut chunk = vec![0; CHUNK_BYTES];
        let read = file.read(&mut chunk).await?;
        chunk.truncate(read);
        Ok((read > 0).then_some((chunk, file)))
    })
}

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;

    use super::*;

    const ID: AttachmentId = AttachmentId::new(7);
    const DAY: Duration = Duration::from_secs(86_400);

    fn now() -> Timestamp {
        lambda::start::invocation().now
    }

    async fn content(store: &FileStore, id: AttachmentId) -> Option<Bytes> {
        let body = store.get(id).await.expect("an answer")?;
        Some(to_bytes(body, usize::MAX).await.expect("bytes"))
    }

    fn in_chunks(bytes: &'static [u8]) -> Body {
        Body::from_stream(stream::iter(bytes.chunks(3).map(Ok::<_, io::Error>)))
    }

    /// A store in a folder, and one in memory.
    fn stores(data: &Path) -> [FileStore; 2] {
        [FileStore::open(Some(data)).expect("a store"), FileStore::open(None).expect("a store")]
    }

    #[tokio::test]
    async fn a_file_is_put_once_and_as_a_whole() {
        let data = tempfile::tempdir().expect("a folder");
        for store in stores(data.path()) {
            for other in [9, 11] {
                let refused = store.put(ID, other, in_chunks(b"0123456789"), now()).await;
                assert!(matches!(refused, Err(NotPut::OtherSize)), "{refused:?}");
            }
            let broken = [Ok("01234"), Err(io::Error::other("the line is dead"))];
            let refused = store.put(ID, 10, Body::from_stream(stream::iter(broken)), now()).await;
            assert!(matches!(refused, Err(NotPut::OtherSize)), "{refused:?}");
            assert_eq!(content(&store, ID).await, None);
            store.put(ID, 10, in_chunks(b"0123456789"), now()).await.expect("it is put");
            let again = store.put(ID, 10, in_chunks(b"9876543210"), now()).await;
            assert!(matches!(again, Err(NotPut::Exists)), "{again:?}");
            assert_eq!(content(&store, ID).await.as_deref(), Some(&b"0123456789"[..]));
        }
        let left: Vec<_> = fs::read_dir(data.path().join(FOLDER)).expect("a folder").collect();
        assert_eq!(left.len(), 1, "no draft is left: {left:?}");
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_full_disk_is_told_of_the_last_bytes_too() {
        let mut full = OpenOptions::new().write(true).open("/dev/full").await.expect("a device");
        let copied = copy(2, Body::from("ok").into_data_stream(), &mut full).await;
        assert!(matches!(copied, Err(NotPut::Failed(_))), "{copied:?}");
    }

    #[tokio::test]
    async fn what_was_being_written_is_gone_at_the_next_start() {
        let data = tempfile::tempdir().expect("a folder");
        let [store, _] = stores(data.path());
        store.put(ID, 2, in_chunks(b"ok"), now()).await.expect("it is put");
        fs::write(data.path().join(FOLDER).join(format!("{DRAFT}{ID}.x")), "ha").expect("half a file");
        let [reopened, _] = stores(data.path());
        assert_eq!(content(&reopened, ID).await.as_deref(), Some(&b"ok"[..]));
        assert_eq!(fs::read_dir(data.path().join(FOLDER)).expect("a folder").count(), 1);
    }

    #[tokio::test]
    async fn files_go_after_their_time() {
        let data = tempfile::tempdir().expect("a folder");
        for store in stores(data.path()) {
            store.put(ID, 2, in_chunks(b"ok"), now()).await.expect("it is put");
            assert_eq!(store.expire(DAY, now()).expect("a sweep"), 0);
            assert_eq!(store.expire(DAY, now().plus(DAY)).expect("a sweep"), 1);
            assert_eq!(content(&store, ID).await, None);
        }
    }

    #[tokio::test]
    async fn a_large_file_comes_back_in_pieces() {
        let data = tempfile::tempdir().expect("a folder");
        let bytes: Vec<u8> = (0..=250).cycle().take(3 * CHUNK_BYTES + 7).collect();
        for store in stores(data.path()) {
            store.put(ID, bytes.len() as u64, Body::from(bytes.clone()), now()).await.expect("it is put");
            assert_eq!(content(&store, ID).await.as_deref(), Some(bytes.as_slice()));
        }
    }
}
