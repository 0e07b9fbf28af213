//! Bugs that can be switched on, to see whether the world catches them. Each is made outside the handlers, at a port or in the event, with
//! the effect that the bug would have inside.

use clap::ValueEnum;

/// One bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Mutation {
    /// `route` answers `accepted` for what the queue has not taken.
    AcceptBeforeSend,
    /// `deliver` unregisters whatever is registered, not the connection that is gone.
    UnconditionalForget,
    /// `$disconnect` of a displaced connection unregisters its successor.
    DisplacedUnregistersSuccessor,
    /// `deliver` posts first and puts later.
    PostBeforePut,
    /// A post deletes the rows that it carried.
    DeleteOnPost,
    /// A post to an old client deletes the row that it carried, as if its client acked nothing.
    DeleteOnOldPost,
    /// A page that is asked for over HTTP is deleted when it is read.
    SyncIsAck,
    /// One record that is to come again keeps its whole batch.
    WholeBatchFails,
    /// One record that is to come again is deleted with its batch.
    WholeBatchDone,
    /// The receive count is read two too high, so attempts are used up early.
    AttemptsCountedTwice,
    /// The receive count is never read, so attempts are never used up.
    AttemptsNotCounted,
    /// A Drain says `drained` after its first page.
    DrainedTooEarly,
    /// The page after a cursor leaves out a row.
    CursorSkips,
    /// A row expires a thousand times too early: seconds taken for milliseconds.
    ExpiryInWrongUnit,
    /// The look that follows a put is the look from before it.
    AbsenceBeforePut,
    /// Looks are eventually consistent: they show what was so two seconds ago.
    EventualLooks,
    /// Pages of an inbox are eventually consistent: they miss what was put within two seconds.
    EventualPages,
    /// Lookups of envelopes are eventually consistent: they miss what was put within two seconds.
    EventualLookups,
    /// A Deliver that finds no row on a later receive takes it for acked.
    MissingRowIsAckInDeliver,
    /// A put that was left unprocessed is taken for done.
    UnprocessedPutIsDone,
    /// A failed entry of a send by `deliver` is taken for sent.
    FailedSendIsDone,
    /// A failed publish is taken for published.
    FailedPublishIsDone,
    /// A push that failed or is to come later is taken for pushed.
    FailedPushIsDone,
    /// A push target that is dead is not dropped.
    DeadTargetIsKept,
    /// With a dead push target goes whatever its device has said since.
    RenewedIsDropped,
    /// A device is still woken where its app was before another device took it over.
    TakenOverIsKept,
    /// When a device was woken, and whether a wake is due, is not kept.
    WakeIsForgotten,
    /// A due wake that makes no sound holds up those that would.
    SilentCovers,
    /// Who was told of what another device has acked is left to believe it.
    WithdrawalIsForgotten,
    /// An ack deletes the envelopes of the user's other devices too.
    AckForAllDevices,
    /// A row does not keep how urgent its message is.
    UrgencyIsLost,
    /// What cannot be read is kept instead of dead-lettered.
    PoisonIsKept,
    /// An ephemeral message is stored.
    EphemeralIsStored,
    /// `http` queues the news of a change after the change.
    AnnounceAfterChange,
    /// `route` queues what was acked after the rows are deleted.
    AckedAfterDelete,
    /// Senders are told of what they did not ask about.
    ReceiptUnasked,
    /// What was only acked is told as read.
    AckSaidAsRead,
    /// The device that acked is told of it as the others are.
    ExceptIsIgnored,
    /// A message to a group goes to all members but one.
    FanoutForgetsLast,
    /// A grant that failed is taken for made.
    FailedGrantIsDone,
    /// A message also goes to whoever wrote it.
    WrongRecipient,
}

impl Mutation {
    /// Every bug.
    pub fn all() -> &'static [Self] {
        Self::value_variants()
    }

    /// The name by which it is switched on.
    pub fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }
}
