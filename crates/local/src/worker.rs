//! A thread that owns something whose calls block, such as a SQLite connection, so that they never stop the tokio workers. It
//! knows nothing of what it owns.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc;
use std::thread;

use tokio::sync::oneshot;

type Work<S> = Box<dyn FnOnce(&mut S) + Send>;

enum Order<S> {
    Run(Work<S>),
    Stop(oneshot::Sender<()>),
}

/// A handle to the thread. Clones share it; when the last one is dropped the thread ends.
pub(crate) struct Worker<S> {
    orders: mpsc::Sender<Order<S>>,
}

/// The thread has stopped, or the call panicked on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the storage thread did not answer")]
pub(crate) struct Unanswered;

impl<S: Send + 'static> Worker<S> {
    /// Starts a thread that owns `state`.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(crate) fn start(name: &str, mut state: S) -> std::io::Result<Self> {
        let (orders, inbound) = mpsc::channel();
        thread::Builder::new().name(name.to_owned()).spawn(move || {
            while let Ok(order) = inbound.recv() {
                match order {
                    // A panic fails the call that it happened in: its answer is dropped with it.
                    Order::Run(work) => drop(catch_unwind(AssertUnwindSafe(|| work(&mut state)))),
                    Order::Stop(stopped) => {
                        drop(state);
                        // Whoever asked may have given up waiting.
                        let _ = stopped.send(());
                        return;
                    }
                }
            }
        })?;
        Ok(Self { orders })
    }

    /// Runs `work` on the thread, after everything that was asked before. It runs to its end even if the caller stops waiting.
    ///
    /// # Errors
    /// When the thread has stopped or `work` panicked.
    pub(crate) async fn call<R: Send + 'static>(
        &self,
        work: impl FnOnce(&mut S) -> R + Send + 'static,
    ) -> Result<R, Unanswered> {
        let (answer, answered) = oneshot::channel();
        let work = Box::new(move |state: &mut S| {
            let _ = answer.send(work(state));
        });
        self.orders.send(Order::Run(work)).map_err(|_| Unanswered)?;
        answered.await.map_err(|_| Unanswered)
    }

    /// Drops what the thread owns, after everything that was asked before, and ends the thread. Stopping twice is the same as once.
    pub(crate) async fn stop(&self) {
        let (stopped, done) = oneshot::channel();
        if self.orders.send(Order::Stop(stopped)).is_ok() {
            let _ = done.await;
        }
    }
}

impl<S> Clone for Worker<S> {
    fn clone(&self) -> Self {
        Self { orders: self.orders.clone() }
    }
}

impl<S> fmt::Debug for Worker<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Worker")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn calls_run_in_order_and_a_panic_fails_one_alone() {
        let worker = Worker::start("test", 0).expect("a thread");
        assert_eq!(worker.call(|state| *state += 1).await, Ok(()));
        assert_eq!(worker.call(|_| panic!("on purpose")).await, Err::<(), _>(Unanswered));
        assert_eq!(worker.call(|state| *state).await, Ok(1));
    }

    #[tokio::test]
    async fn a_stopped_thread_answers_nobody() {
        let worker = Worker::start("test", 0).expect("a thread");
        worker.stop().await;
        worker.stop().await;
        assert_eq!(worker.call(|state| *state).await, Err(Unanswered));
    }
}
