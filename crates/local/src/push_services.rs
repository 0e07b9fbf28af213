//! The gateway of wakes: to the push targets of the device, by the deployed clients of the push services, and into the record of wakes. FCM and
//! APNs are stand-ins of this machine, and so is the push service of whoever asks for one; a browser that has subscribed is pushed to where it
//! is. What a stand-in takes is decided in the crate `providers`.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use delivery::{Failure, PushGateway, PushOutcome, Pushed, Wake};
use notify::gateway::Gateway;
use protocol::VapidPublicKey;
use providers::{Providers, StartError};
use push::{Hosts, InvalidHostPattern, Secret, Services, Setup};

use crate::pushes::Pushes;
use crate::sqs::Clock;

/// The file within the data folder of what the stand-ins keep.
const FILE: &str = "push-services.jsonl";

/// The gateway, and the stand-ins that it pushes to.
#[derive(Clone, Debug)]
pub(crate) struct PushServices {
    pub(crate) providers: Arc<Providers>,
    pushes: Pushes,
    /// What pages subscribe with: what the HTTP API of a deployment is set up with. It stays as it is when the key is rotated.
    pub(crate) published: VapidPublicKey,
    /// Made for the first device that has a target: a client of HTTP takes a moment, for the certificates of the system.
    gateway: Arc<Mutex<Option<Arc<Gateway>>>>,
}

impl PushServices {
    /// Starts the stand-ins, with what they keep in `folder` if there is one. Wakes are recorded in `pushes`.
    ///
    /// # Errors
    /// As [`Providers::start_kept`].
    pub(crate) async fn start(folder: Option<&Path>, clock: Clock, pushes: Pushes) -> Result<Self, StartError> {
        let now = move || clock.now();
        let providers = match folder {
            Some(folder) => Providers::start_kept(&folder.join(FILE), now).await?,
            None => Providers::start_at(0, now).await?,
        };
        let published = providers.vapid_public_key().parse().expect("the stand-ins make keys that are some");
        Ok(Self { providers: Arc::new(providers), pushes, published, gateway: Arc::default() })
    }

    fn gateway(&self) -> Result<Arc<Gateway>, Failure> {
        let mut gateway = self.gateway.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(gateway) = &*gateway {
            return Ok(Arc::clone(gateway));
        }
        let services = Services::new(self.setup()).map_err(|error| Failure::new("set up push services", &error))?;
        Ok(Arc::clone(gateway.insert(Arc::new(Gateway { services, webhook: None }))))
    }

    /// All credentials are the stand-ins', so that no app but a browser that has subscribed with their key can be reached from here.
    fn setup(&self) -> Setup {
        let secret = |credentials: fn(&Providers) -> String| {
            let providers = Arc::clone(&self.providers);
            Some(Secret::asked(move || credentials(&providers)))
        };
        Setup {
            fcm: secret(Providers::fcm_credentials),
            apns: secret(Providers::apns_credentials),
            vapid: secret(Providers::vapid_credentials),
            vapid_public_key: Some(self.published.clone()),
            sns: None,
            platform_endpoints: Vec::new(),
            hosts: hosts(&self.providers.url()).expect("the stand-ins are at a host with a port"),
            root_certificate: Some(self.providers.root_certificate().to_owned()),
        }
    }
}

fn hosts(url: &str) -> Result<Hosts, InvalidHostPattern> {
    let base = || url.parse().map_err(|_| InvalidHostPattern);
    let host = url.strip_prefix("https://").unwrap_or(url).parse()?;
    let Hosts { mut web_push, .. } = Hosts::default();
    web_push.push(host);
    Ok(Hosts { fcm: base()?, apns: base()?, apns_sandbox: base()?, web_push })
}

impl PushGateway for PushServices {
    async fn push(&self, wake: &Wake) -> Result<Pushed, Failure> {
        let mut pushed = Pushed::from(PushOutcome::Nowhere);
        if !wake.push.is_empty() {
            pushed = self.gateway()?.push(wake).await?;
        }
        for target in &pushed.dead {
            tracing::warn!(
                ?target,
                "a device loses a push target that is not known, or known to be gone: FCM and APNs are stand-ins here, and \
                 POST /_local/push/targets makes targets of theirs"
            );
        }
        match pushed.outcome {
            PushOutcome::Later(_) => {}
            // A wake that has nowhere to go is worth a record, and ends as when deployed.
            PushOutcome::Taken | PushOutcome::Nowhere => self.pushes.record(wake).await?,
        }
        Ok(pushed)
    }
}
