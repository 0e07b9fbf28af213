//! Where wakes go: to the push targets of their device, by the services that the deployment has credentials for, and otherwise to the webhook,
//! if there is one. What a service is sent is in the crate `push`; when it is tried again is the wake queue's business.

use std::time::Duration;

use delivery::{Failure, PushGateway, PushOutcome, Pushed, Wake};
use futures::future::join_all;
use protocol::PushTarget;
use push::{Answer, Services};

use crate::webhook::Webhook;

/// All the ways to a device.
#[derive(Debug)]
pub struct Gateway {
    /// Push services.
    pub services: Services,
    /// What gets the wakes that no service took.
    pub webhook: Option<Webhook>,
}

impl PushGateway for Gateway {
    async fn push(&self, wake: &Wake) -> Result<Pushed, Failure> {
        let answers = join_all(wake.push.iter().map(|target| self.services.push(target, &wake.notice, wake.at))).await;
        let pushed = pushed(&wake.push, answers)?;
        match &self.webhook {
            Some(webhook) if pushed.outcome == PushOutcome::Nowhere => {
                webhook.post(wake).await?;
                Ok(Pushed { outcome: PushOutcome::Taken, ..pushed })
            }
            _ => Ok(pushed),
        }
    }
}

/// What became of a wake whose targets answered this. A device that one target has told is told.
///
/// # Errors
/// When a service refuses what it is asked, and no other takes the wake or asks for time.
pub fn pushed(targets: &[PushTarget], answers: Vec<Answer>) -> Result<Pushed, Failure> {
    let mut pushed = Pushed::from(PushOutcome::Nowhere);
    let (mut taken, mut needless, mut later, mut refused) = (false, false, None::<Option<Duration>>, None);
    for (target, answer) in targets.iter().zip(answers) {
        match answer {
            Answer::Taken => taken = true,
            Answer::Needless => needless = true,
            Answer::Dead => pushed.dead.push(target.clone()),
            Answer::Later(wait) => later = Some(later.flatten().max(wait)),
            Answer::Refused(why) => {
                tracing::error!(metric = "push.refused", ?target, why, "a push service refuses what it is asked");
                refused = Some(why);
            }
            Answer::Unserved => tracing::warn!(metric = "push.unserved", ?target, "the deployment does not push there"),
        }
    }
    match (taken, later, refused) {
        (true, _, _) => pushed.outcome = PushOutcome::Taken,
        (false, Some(wait), _) => pushed.outcome = PushOutcome::Later(wait),
        (false, None, Some(cause)) => return Err(Failure { operation: "push a notice", cause }),
        (false, None, None) if needless => pushed.outcome = PushOutcome::Taken,
        (false, None, None) => {}
    }
    Ok(pushed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(answers: &[Answer]) -> Result<(PushOutcome, usize), Failure> {
        let target = |number: usize| PushTarget::Fcm { token: format!("token{number}") };
        let targets: Vec<PushTarget> = (0..answers.len()).map(target).collect();
        pushed(&targets, answers.to_vec()).map(|pushed| (pushed.outcome, pushed.dead.len()))
    }

    #[test]
    fn one_target_that_is_told_is_enough() {
        let secs = |secs| Some(Duration::from_secs(secs));
        let refused = || Answer::Refused("no".to_owned());
        assert_eq!(outcome(&[]), Ok((PushOutcome::Nowhere, 0)));
        assert_eq!(outcome(&[Answer::Dead, Answer::Unserved]), Ok((PushOutcome::Nowhere, 1)));
        let some = [Answer::Later(None), Answer::Dead, Answer::Taken, refused()];
        assert_eq!(outcome(&some), Ok((PushOutcome::Taken, 1)));
        let later = [Answer::Later(secs(5)), Answer::Later(None), Answer::Later(secs(7)), refused()];
        assert_eq!(outcome(&later), Ok((PushOutcome::Later(secs(7)), 0)));
        assert_eq!(outcome(&[Answer::Later(None), Answer::Dead]), Ok((PushOutcome::Later(None), 1)));
        assert!(outcome(&[Answer::Dead, refused()]).is_err());
        assert_eq!(outcome(&[Answer::Needless, Answer::Dead]), Ok((PushOutcome::Taken, 1)));
        assert_eq!(outcome(&[Answer::Needless, Answer::Later(None)]), Ok((PushOutcome::Later(None), 0)));
    }
}
