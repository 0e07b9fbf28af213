//! `vartalap dlq`: dead letters listed, shown and sent back. Where they lie is for `place`, how they are printed for `report`; what a
//! record is about and which ones are meant is decided in `delivery`.

mod local_cloud;
mod moment;
mod outputs;
mod place;
mod report;

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::Subcommand;
use delivery::{DeadLetter, Filter, RecordKind};
use protocol::{MessageId, Timestamp, UserId};

use crate::exit::Failure;
use crate::interrupts::Interrupts;
use crate::screen;
use moment::Moment;
use place::{Outcome, Place, PlaceArgs};
use report::{Fate, Report};

/// How many are sent back before the next line is printed: what one call of SQS carries.
const BATCH: usize = 10;

/// Look at dead letters, and send them back to the queues that they came from.
///
/// A dead letter is a record that could not be read, or that failed 200 times. They lie in the local cloud at --url, unless --outputs or
/// the URLs of queues name those of a deployed system. Those are reached as the AWS SDK's own environment says: AWS_REGION,
/// AWS_PROFILE or credentials, and AWS_ENDPOINT_URL for an emulator.
///
/// SQS has no way to look at a queue, so all three commands receive what it has, and let go of it at the end. While one runs, others see
/// nothing or a part, and if it is killed, what it saw is hidden for up to two minutes. The receive counts of dead letters grow by that;
/// nothing comes of it, since a dead-letter queue has no redrive policy of its own. SQS may not show everything at once: look again
/// before you call a queue empty.
#[derive(Debug, clap::Args)]
pub(crate) struct DlqArgs {
    #[command(subcommand)]
    command: DlqCommand,
}

#[derive(Debug, Subcommand)]
enum DlqCommand {
    List(ListArgs),
    Show(ShowArgs),
    Redrive(RedriveArgs),
}

/// List dead letters, oldest first, a line each. What users wrote is not shown.
#[derive(Debug, clap::Args)]
struct ListArgs {
    #[command(flatten)]
    filter: FilterArgs,
    #[command(flatten)]
    place: PlaceArgs,
}

/// Show all that is known of dead letters, but for what users wrote.
#[derive(Debug, clap::Args)]
struct ShowArgs {
    /// Ids of dead letters, as `list` shows them.
    #[arg(value_name = "RECORD", required_unless_present_any = ["user", "message", "since", "until"])]
    records: Vec<String>,
    #[command(flatten)]
    filter: FilterArgs,
    /// Show the raw records too. They may hold what users wrote.
    #[arg(long)]
    body: bool,
    #[command(flatten)]
    place: PlaceArgs,
}

/// Send dead letters back to the queues that they came from.
///
/// Each is deleted only after its queue has taken it. So whatever goes wrong in between leaves a record twice and loses none, and
/// records may come twice: this can be interrupted and run again at any time. Mend the cause first, or they come back.
#[derive(Debug, clap::Args)]
struct RedriveArgs {
    /// Ids of dead letters, as `list` shows them.
    #[arg(value_name = "RECORD", required_unless_present_any = ["user", "message", "since", "until", "all"])]
    records: Vec<String>,
    #[command(flatten)]
    filter: FilterArgs,
    /// All of them.
    #[arg(long, conflicts_with_all = ["records", "user", "message", "since", "until"])]
    all: bool,
    /// Only say which would be sent back.
    #[arg(long)]
    dry_run: bool,
    /// Send back unreadable ones too. Unless another version runs by now, they come straight back.
    #[arg(long)]
    unreadable: bool,
    #[command(flatten)]
    place: PlaceArgs,
}

/// Which ones. Whatever is given must apply.
#[derive(Debug, clap::Args)]
struct FilterArgs {
    /// About this user, as recipient or sender. An unreadable record is about nobody.
    #[arg(long)]
    user: Option<UserId>,
    /// About this message.
    #[arg(long, value_name = "ID")]
    message: Option<MessageId>,
    /// Sent at this time or later: a duration before now such as 2h, or a time in UTC such as 2026-11-25T08:00:00Z or 2026-11-25.
    ///
    /// A record that failed too often bears the time at which it was sent to its queue, an unreadable one that of its dead letter.
    #[arg(long, value_name = "TIME")]
    since: Option<Moment>,
    /// Sent before this time, written like that of --since.
    #[arg(long, value_name = "TIME")]
    until: Option<Moment>,
}

impl FilterArgs {
    fn filter(&self, ids: Vec<String>, now: Timestamp) -> Result<Filter, Failure> {
        let at = |moment: Option<Moment>| moment.map(|moment| moment.before(now));
        let (since, until) = (at(self.since), at(self.until));
        if since.zip(until).is_some_and(|(since, until)| since >= until) {
            return Err(Failure::Usage("--until is not after --since, so nothing can be between them".to_owned()));
        }
        Ok(Filter { ids, user: self.user.clone(), message: self.message, since, until })
    }
}

/// Whether Ctrl-C asked for an end.
fn unless(stop: &AtomicBool) -> Result<(), Failure> {
    if stop.load(Ordering::Relaxed) { Err(Failure::Interrupted) } else { Ok(()) }
}

/// Does the work. The first Ctrl-C sets `stop`, and what is in hand with the queues is finished; the second ends it there.
async fn interruptible(
    work: impl Future<Output = Result<(), Failure>>,
    mut interrupts: Interrupts,
    stop: &AtomicBool,
) -> Result<(), Failure> {
    let mut work = pin!(work);
    tokio::select! {
        done = &mut work => return done,
        () = interrupts.next() => stop.store(true, Ordering::Relaxed),
    }
    tokio::select! {
        done = &mut work => done,
        () = interrupts.next() => Err(Failure::Interrupted),
    }
}

/// Lists, shows or redrives. What was received of SQS is let go, however that ends.
pub(crate) async fn run(args: DlqArgs) -> Result<(), Failure> {
    let (interrupts, stop) = (Interrupts::new().map_err(Failure::Interrupts)?, AtomicBool::new(false));
    let now = client::now();
    let (filter, at) = match &args.command {
        DlqCommand::List(list) => (list.filter.filter(Vec::new(), now)?, &list.place),
        DlqCommand::Show(show) => (show.filter.filter(show.records.clone(), now)?, &show.place),
        DlqCommand::Redrive(redrive) => (redrive.filter.filter(redrive.records.clone(), now)?, &redrive.place),
    };
    let mut report = Report::new(std::io::stdout(), at.json);
    let mut place = at.open().await?;
    let work = async {
        let letters = place.find(&filter, &stop).await?;
        unless(&stop)?;
        match &args.command {
            DlqCommand::List(_) => list(&mut report, &letters, &place),
            DlqCommand::Show(args) => show(args, &mut report, &filter, &letters, &place).await,
            DlqCommand::Redrive(args) => redrive(args, &mut report, &letters, &mut place, &stop).await,
        }
    };
    let done = interruptible(work, interrupts, &stop).await;
    place.release().await;
    done
}

fn list(report: &mut Report<impl std::io::Write>, letters: &[DeadLetter], place: &Place) -> Result<(), Failure> {
    letters.iter().try_for_each(|letter| report.listed(letter))?;
    match letters.len() {
        0 => screen::tell(&format!("-- no such dead letters{}", place.caveat())),
        count => screen::tell(&format!("-- dead letters: {count}")),
    }
    Ok(())
}

async fn show(
    args: &ShowArgs,
    report: &mut Report<impl std::io::Write>,
    filter: &Filter,
    letters: &[DeadLetter],
    place: &Place,
) -> Result<(), Failure> {
    if args.body && !letters.is_empty() {
        screen::tell("-- raw records follow; they may hold what users wrote: keep them out of logs and tickets");
    }
    for letter in letters {
        let raw = if args.body { place.raw(letter).await? } else { None };
        report.shown(letter, raw.as_deref())?;
    }
    let missing: Vec<&str> = missing(filter, letters).collect();
    if letters.is_empty() || !missing.is_empty() {
        let which = if missing.is_empty() { "those filters".to_owned() } else { missing.join(", ") };
        return Err(Failure::NoSuchDeadLetter { which, caveat: place.caveat() });
    }
    Ok(())
}

async fn redrive(
    args: &RedriveArgs,
    report: &mut Report<impl std::io::Write>,
    letters: &[DeadLetter],
    place: &mut Place,
    stop: &AtomicBool,
) -> Result<(), Failure> {
    let (mut taken, mut skipped) = (Vec::new(), 0);
    for letter in letters {
        if letter.kind == RecordKind::Unreadable && !args.unreadable {
            skipped += 1;
            report.fate(letter, &Fate::Skipped)?;
        } else if args.dry_run {
            report.fate(letter, &Fate::WouldRedrive)?;
            taken.push(letter.clone());
        } else {
            taken.push(letter.clone());
        }
    }
    let asked = taken.len();
    let redriven = if args.dry_run { 0 } else { send_back(report, &taken, place, stop).await? };
    let counts = match args.dry_run {
        true => format!("-- would redrive: {asked}; skipped: {skipped}"),
        false => format!("-- redriven: {}; skipped: {skipped}; failed: {}", redriven, asked - redriven),
    };
    let caveat = if letters.is_empty() { place.caveat() } else { "" };
    screen::tell(&format!("{counts}{caveat}"));
    if skipped > 0 {
        screen::tell(
            "-- unreadable records would come straight back, so they stay; --unreadable sends them all the same",
        );
    }
    if !args.dry_run && redriven < asked {
        return Err(Failure::NotRedriven { left: asked - redriven, asked });
    }
    Ok(())
}

/// Answers how many need no other try. After a batch of which none was sent the others are not tried.
async fn send_back(
    report: &mut Report<impl std::io::Write>,
    letters: &[DeadLetter],
    place: &mut Place,
    stop: &AtomicBool,
) -> Result<usize, Failure> {
    let mut redriven = 0;
    for batch in letters.chunks(BATCH) {
        unless(stop)?;
        let before = redriven;
        for (letter, outcome) in batch.iter().zip(place.redrive(batch).await?) {
            match outcome {
                Outcome::Redriven => report.fate(letter, &Fate::Redriven)?,
                Outcome::Gone => report.fate(letter, &Fate::Gone)?,
                Outcome::Failed(why) => {
                    report.fate(letter, &Fate::Failed(why))?;
                    continue;
                }
            }
            redriven += 1;
        }
        if redriven == before {
            break;
        }
    }
    Ok(redriven)
}

/// Those that were named and not found.
fn missing<'a>(filter: &'a Filter, letters: &'a [DeadLetter]) -> impl Iterator<Item = &'a str> {
    filter.ids.iter().map(String::as_str).filter(|id| letters.iter().all(|letter| letter.id != *id))
}
