//! Stand-ins of the push services, for the local cloud and for tests: Firebase Cloud Messaging, Apple's push service and Web Push, as servers
//! on loopback that judge a request as the real ones do. Nobody's device is reached. Who is registered is kept over a
//! restart if there is a file for it; what was received never is.
//!
//! One listener serves all of them over TLS. Its certificate is made at the start, so a client has to trust [`Providers::root_certificate`]; its
//! names are `localhost` and `127.0.0.1`. A target that is registered here is known to the stand-in alone, with credentials of its own.
//!
//! # FCM
//! `POST /token` and `POST /v1/projects/{project}/messages:send`.
//!
//! | rule | source |
//! |---|---|
//! | a JWT bearer grant, signed by RS256 with the key of the service account; `iss` its address, `aud` the `token_uri`, `exp` at most 1 h after `iat`; the answer is good for 3,599 s | [Google, OAuth 2.0 for service accounts][oauth] |
//! | errors of it are `{"error","error_description"}` with 400 | RFC 6749, section 5.2 |
//! | the scope `https://www.googleapis.com/auth/firebase.messaging` or `.../cloud-platform`; another one gets a token that may not send (403) | [FCM, authorize][fcm-auth] |
//! | fields and their types; `data` is strings; no key `from`, `message_type`, `google.*` or `gcm.notification.*` | [FCM, Message][fcm-message] |
//! | `android.ttl` in seconds with a final `s`, at most 4 weeks; `android.priority` is `high` or `normal` | the same |
//! | keys and values of `data` are at most 4,096 bytes | [FCM, error codes][fcm-errors] |
//! | errors in Google's form, with an `FcmError` or a `BadRequest` in `details` | the same |
//!
//! Not as the real one: topics, conditions and device groups are refused, `notification`, `apns` and `webpush` are taken unread, there is no quota,
//! and any order of rules is ours: Google documents none.
//!
//! # APNs
//! `POST /3/device/{token}`, over HTTP/2 alone: over HTTP/1.1 it is 505, where Apple's servers speak no HTTP/1.1 at all.
//!
//! | rule | source |
//! |---|---|
//! | a provider token by ES256 with `kid`, `iss` (the team) and `iat`, at most 1 h old and not from the future; a second token of a key within 20 min is 429 `TooManyProviderTokenUpdates` | [Apple, token-based connection][apns-token] |
//! | `apns-id`, `apns-topic`, `apns-push-type`, `apns-priority` (10, 5, 1), `apns-expiration`, `apns-collapse-id` (at most 64 bytes) | [Apple, sending requests][apns-send] |
//! | a payload of at most 4,096 bytes (5,120 for `voip`) | the same |
//! | a background push has `content-available` and priority 5 | [Apple, background updates][apns-background] |
//! | statuses and reasons, and `timestamp` of a 410 | [Apple, responses][apns-responses] |
//!
//! Stricter than the real one, which takes the push and then may not show it: `apns-push-type` is required; a background push without
//! `content-available`, or with `alert` or `sound`, is `InvalidPushType`. (Apple says the same of `badge` there, and that is taken.) A payload that is
//! no JSON object with `aps` is `PayloadEmpty`; Apple documents no reason for it. Whether Apple counts token updates by connection or by key is not
//! documented; here it is by key. No certificates, no channels, no broadcast, and a sandbox is not told from production.
//!
//! # Web Push
//! `POST` to the endpoint of a subscription.
//!
//! | rule | source |
//! |---|---|
//! | `TTL` is required, `Urgency` one of four, `Topic` at most 32 characters of base64url, else 400; 201 with `Location`; 404 or 410 for what is gone | RFC 8030, sections 5 and 7.3 |
//! | a body in `aes128gcm`, one record, at most 4,096 bytes (else 413) | RFC 8291, section 4, and RFC 8188 |
//! | `Authorization: vapid t=...,k=...` by ES256: `aud` is the origin, `exp` is at most 24 h away, `sub` is `mailto:` or `https:` | RFC 8292, sections 2 and 3 |
//! | a subscription that was made for a key takes that key alone: 401 without VAPID, 403 for a bad one | RFC 8292, section 4.2 |
//! | `errno` of an error (none there is for `Urgency`: it is 111 here) | [autopush, error codes][autopush] |
//!
//! A browser's part is done here as well: the body is decrypted with the subscription's keys and has to be JSON. What cannot be is 400, where
//! a real push service answers 201 and the browser drops it silently. `sub` is required, as by Apple's service; RFC 8292 only recommends it.
//! No receipts, no `Prefer: respond-async`, no message resource behind `Location`, and no storage: a later push does not take the place of an
//! earlier one of its topic in [`Providers::received`].
//!
//! [oauth]: https://developers.google.com/identity/protocols/oauth2/service-account
//! [fcm-auth]: https://firebase.google.com/docs/cloud-messaging/send/v1-api
//! [fcm-message]: https://firebase.google.com/docs/reference/fcm/rest/v1/projects.messages
//! [fcm-errors]: https://firebase.google.com/docs/reference/fcm/rest/v1/ErrorCode
//! [apns-token]: https://developer.apple.com/documentation/usernotifications/establishing-a-token-based-connection-to-apns
//! [apns-send]: https://developer.apple.com/documentation/usernotifications/sending-notification-requests-to-apns
//! [apns-background]: https://developer.apple.com/documentation/usernotifications/pushing-background-updates-to-your-app
//! [apns-responses]: https://developer.apple.com/documentation/usernotifications/handling-notification-responses-from-apns
//! [autopush]: https://mozilla-services.github.io/autopush-rs/errors.html

mod apns;
mod faults;
mod fcm;
mod journal;
mod jwt;
mod providers;
mod received;
mod tls;
mod tokens;
mod web_push;

pub use faults::{Fault, Times, Whom};
pub use providers::{Providers, StartError};
pub use received::{Received, Service};
pub use web_push::Subscription;
