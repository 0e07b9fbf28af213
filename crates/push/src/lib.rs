//! Pushes to phones and browsers: clients of FCM HTTP v1, APNs, Web Push and the platform endpoints of SNS.
//!
//! [`Services::push`] brings one [`Notice`](delivery::Notice) to one target and says what became of it as an [`Answer`]. Whether, when
//! and of what a device is notified is decided by whoever calls, who also removes targets that are dead and comes again
//! later. `docs/PUSH.md` says how a deployment sets the services up and what an app receives.
//!
//! Tokens, keys and URLs of devices are secrets: no `Debug`, error or log of this crate holds one.
//!
//! | module | owns |
//! |---|---|
//! | [`content`] | the JSON that an app is given of it, the same in every service |
//! | `fcm`, `apns`, `web_push`, `sns` | what a service is sent, and what its answers mean |
//! | [`answer`] | what became of a push |
//! | [`services`] | the services of a deployment, and one push to one target |
//! | [`secret`], `credentials` | where secrets come from, and how long they are kept |
//! | [`hosts`] | where services are, and which hosts a subscription may name |
//! | `es256` | tokens that are the same in every process |
//! | `http`, `sdk` | the two ways out, over HTTP and by the AWS SDK |

pub mod answer;
mod apns;
pub mod content;
mod credentials;
mod es256;
mod fcm;
pub mod hosts;
mod http;
mod sdk;
pub mod secret;
pub mod services;
mod sns;
mod web_push;

pub use answer::Answer;
pub use credentials::InvalidCredentials;
pub use hosts::{HostPattern, Hosts, InvalidHostPattern};
pub use secret::{InvalidSecretArn, Secret};
pub use services::{InvalidSetup, Services, Setup};
pub use sns::{EndpointPattern, InvalidEndpointPattern};
pub use web_push::vapid_public_key;
