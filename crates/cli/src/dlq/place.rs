//! Where dead letters lie: in a local cloud, or in the queues of a deployed system. It prints nothing, and leaves to `delivery` which
//! ones are meant.

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use aws::Clients;
use aws::dead_letters::{FindError, QueueUrls, SqsDeadLetters};
use clap::builder::FalseyValueParser;
use delivery::{DeadLetter, Filter, Origin};

use super::local_cloud::LocalCloud;
use super::outputs;
use crate::exit::Failure;

/// Where to look.
#[derive(Debug, clap::Args)]
pub(crate) struct PlaceArgs {
    /// The local cloud: what `up` prints as `http` or `ws`. Not used with --outputs or queues.
    #[arg(long, env = "VARTALAP_URL", default_value = "http://127.0.0.1:8080")]
    url: String,
    /// A deployed system, by its stack's outputs as JSON: the file, or `-` for stdin.
    ///
    /// Such as what `aws cloudformation describe-stacks --stack-name NAME` or localstack/deploy.py prints.
    #[arg(
        long, value_name = "FILE",
        conflicts_with_all = ["delivery_queue", "delivery_dead_letters", "wake_queue", "wake_dead_letters"],
    )]
    outputs: Option<PathBuf>,
    /// URL of the delivery queue of a deployed system.
    #[arg(long, value_name = "URL", requires = "delivery_dead_letters")]
    delivery_queue: Option<String>,
    /// URL of its dead-letter queue.
    #[arg(long, value_name = "URL", requires = "delivery_queue")]
    delivery_dead_letters: Option<String>,
    /// URL of the wake queue of a deployed system.
    #[arg(long, value_name = "URL", requires = "wake_dead_letters")]
    wake_queue: Option<String>,
    /// URL of its dead-letter queue.
    #[arg(long, value_name = "URL", requires = "wake_queue")]
    wake_dead_letters: Option<String>,
    /// Print for programs: one JSON object per line, told apart by its `type`.
    #[arg(long, env = "VARTALAP_JSON", value_parser = FalseyValueParser::new())]
    pub(crate) json: bool,
}

impl PlaceArgs {
    /// The place that is meant. Nothing is asked of it yet.
    pub(crate) async fn open(&self) -> Result<Place, Failure> {
        let queues = match &self.outputs {
            Some(path) => outputs::read(path)?,
            None => self.queues(),
        };
        if queues.is_empty() {
            return Ok(Place::Local(LocalCloud::at(&self.url)?));
        }
        let clients = Clients::unhurried().await;
        Ok(Place::Deployed(SqsDeadLetters::new(clients.sqs(), queues, &clients.meter())))
    }

    fn queues(&self) -> Vec<(Origin, QueueUrls)> {
        let pairs = [
            (Origin::Delivery, &self.delivery_queue, &self.delivery_dead_letters),
            (Origin::Wake, &self.wake_queue, &self.wake_dead_letters),
        ];
        let given = pairs.into_iter().filter_map(|(origin, queue, dead_letters)| {
            Some((origin, QueueUrls { queue: queue.clone()?, dead_letters: dead_letters.clone()? }))
        });
        given.collect()
    }
}

/// What became of a dead letter that was to be sent back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Its queue has it.
    Redriven,
    /// It was not there any more.
    Gone,
    /// It is still there, for this reason, and perhaps in its queue as well.
    Failed(String),
}

/// Where dead letters lie.
#[derive(Debug)]
pub(crate) enum Place {
    Local(LocalCloud),
    Deployed(SqsDeadLetters),
}

impl Place {
    /// Those that the filter takes, oldest first; when `stop` is set meanwhile, perhaps not all.
    pub(crate) async fn find(&mut self, filter: &Filter, stop: &AtomicBool) -> Result<Vec<DeadLetter>, Failure> {
        match self {
            Self::Local(cloud) => {
                let mut letters = cloud.dead_letters().await?;
                letters.retain(|letter| filter.matches(letter));
                Ok(letters)
            }
            Self::Deployed(queues) => {
                queues.find(|letter| filter.matches(letter), stop).await.map_err(|error| match error {
                    FindError::Unreachable(failure) => Failure::SqsUnreachable(failure),
                    FindError::Refused(failure) => Failure::SqsRefused(failure),
                })
            }
        }
    }

    /// The whole record of one that was found; none if it has gone meanwhile. It may hold what users wrote.
    pub(crate) async fn raw(&self, letter: &DeadLetter) -> Result<Option<String>, Failure> {
        match self {
            Self::Local(cloud) => cloud.raw(&letter.id).await,
            Self::Deployed(queues) => Ok(queues.raw(letter).map(str::to_owned)),
        }
    }

    /// Sends back some that were found. Answers in order of `letters`.
    pub(crate) async fn redrive(&mut self, letters: &[DeadLetter]) -> Result<Vec<Outcome>, Failure> {
        match self {
            Self::Local(cloud) => {
                let redriven = cloud.redrive(letters.iter().map(|letter| letter.id.as_str())).await?;
                let outcome = |letter: &DeadLetter| match redriven.contains(&letter.id) {
                    true => Outcome::Redriven,
                    false => Outcome::Gone,
                };
                Ok(letters.iter().map(outcome).collect())
            }
            Self::Deployed(queues) => {
                let outcome = |done: Result<(), delivery::Failure>| match done {
                    Ok(()) => Outcome::Redriven,
                    Err(failure) => Outcome::Failed(failure.to_string()),
                };
                Ok(queues.redrive(letters).await.into_iter().map(outcome).collect())
            }
        }
    }

    /// Lets others see what was found.
    pub(crate) async fn release(&mut self) {
        match self {
            Self::Local(_) => {}
            Self::Deployed(queues) => queues.release().await,
        }
    }

    /// What must be added where it is said that there is nothing.
    pub(crate) fn caveat(&self) -> &'static str {
        match self {
            Self::Local(_) => "",
            Self::Deployed(_) => "; what somebody else has just looked at is hidden for up to two minutes",
        }
    }
}
